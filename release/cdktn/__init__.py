"""The way out of CDKTF, which is archived: the same app under its fork, kept ready to be taken."""
