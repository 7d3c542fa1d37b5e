"""Texts of a training recipe that say more than a name: the learning rate's schedule and the augmentation."""
