"""How far does the virtual lab rank policies as the real one does?"""
