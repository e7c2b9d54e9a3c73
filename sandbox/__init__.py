"""Sakari, Bird and Skipcall faked over real HTTP, with a world whose truth is known."""
