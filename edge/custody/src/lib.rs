//! Keys inside devices: PKCS#11 modules and SDF devices (GM/T 0018).
