"""What the marts should hold, told again in plain Python from the source rows.

Nothing here is shared with the models: each function follows the meaning of a mart, the
slow and obvious way, so that an error would have to be made twice to stay unseen.
"""
