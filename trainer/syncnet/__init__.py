"""SyncNet's own training: pairs of pictures and sound, the contrastive lesson, and how well it tells them apart."""
