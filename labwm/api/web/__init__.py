"""Server-rendered pages: campaigns, a campaign, the approval of a batch."""
