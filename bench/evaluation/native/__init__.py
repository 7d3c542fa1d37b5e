"""Bring logits at the training size to classes, levels and counts at an image's own size.

Images are restored and counted one by one on the host (host.py), or several of one size at once on a GPU (device.py).
Both give the same counts to the last pixel: what rounding could decide otherwise on a device is decided by the host.
"""
