"""Where a take comes from, said in the files themselves: C2PA content credentials, XMP tags, consent.

`certificate` finds or makes what files are signed with, `credentials` signs, `verify` reads and judges, `xmp` writes
the IPTC tags, `consent` reads notes of consent.
"""
