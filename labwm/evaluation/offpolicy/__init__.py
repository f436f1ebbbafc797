"""What is another policy worth, judged from a log that it did not write?"""
