//! A soft SDF device (GM/T 0018) as a shared library.
