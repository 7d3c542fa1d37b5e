"""Texts of a training recipe that say more than a name: schedule, augmentation, weights by backbone."""
