"""Wheels as store objects: never unpacked to disk, installed as the wheel specification says."""
