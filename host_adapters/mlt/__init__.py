"""MLT projects: Kdenlive, Shotcut and `melt` XML, edited as text so that what is not ours stays byte for byte."""
