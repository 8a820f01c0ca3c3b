//! Values that are never printed and are wiped when dropped.
