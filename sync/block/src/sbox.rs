//! The S-box of SM4 as a circuit: nothing is looked up.
//!
//! SM4's S-box is an affine map, the inversion in GF(2⁸), and the same affine map again. All fields of 256 elements are
//! the same field in other coordinates, so the inversion is the one of the AES S-box, for which Boyar and Peralta ("A
//! small depth-16 circuit for the AES S-box", 2012) have a small circuit; its linear first and last parts are replaced
//! by those that also change coordinates and apply SM4's maps. 115 gates and the complements.

use std::ops::{BitAnd, BitXor, Not};

/// The S-box of as many bytes as `P` has bits; `bits[i]` holds bit i (0 is the lowest) of each.
#[inline(always)]
pub(crate) fn substitute<P>(bits: [P; 8]) -> [P; 8]
where
    P: Copy + BitAnd<Output = P> + BitXor<Output = P> + Not<Output = P>,
{
    let [x0, x1, x2, x3, x4, x5, x6, x7] = bits;
    let [x0, x1, x2, x3, x4, x5, x6, x7] = [!x0, x1, !x2, x3, !x4, !x5, !x6, x7];
    // The affine map, in AES coordinates.
    let y5 = x6 ^ x2;
    let y2 = y5 ^ x1;
    let y20 = x7 ^ x2;
    let y10 = y20 ^ x4;
    let y7 = y10 ^ x0;
    let y18 = y7 ^ y2;
    let u14 = x5 ^ x3;
    let y19 = u14 ^ y18;
    let y1 = u14 ^ x7;
    let y6 = y1 ^ y10;
    let y16 = y6 ^ x0;
    let y8 = y19 ^ y10;
    let y21 = y16 ^ x1;
    let y11 = y21 ^ x5;
    let y3 = y8 ^ y5;
    let y9 = y11 ^ y20;
    let y4 = y9 ^ y2;
    let y12 = y4 ^ y3;
    let y14 = y9 ^ y8;
    let y17 = y9 ^ x4;
    let y0 = y17 ^ x0;
    let y15 = y12 ^ x6;
    // Inversion: products of the sums above.
    let t2 = y12 & y15;
    let t3 = y3 & y6;
    let t4 = t3 ^ t2;
    let t5 = y4 & y0;
    let t6 = t5 ^ t2;
    let t7 = x1 & y16;
    let t8 = y5 & y1;
    let t9 = t8 ^ t7;
    let t10 = y2 & y7;
    let t11 = t10 ^ t7;
    let t12 = y9 & y11;
    let t13 = y14 & y17;
    let t14 = t13 ^ t12;
    let t15 = y8 & y10;
    let t16 = t15 ^ t12;
    let t17 = t4 ^ t14;
    let t18 = t6 ^ t16;
    let t19 = t9 ^ t14;
    let t20 = t11 ^ t16;
    let t21 = t17 ^ y20;
    let t22 = t18 ^ y19;
    let t23 = t19 ^ y21;
    let t24 = t20 ^ y18;
    let t25 = t21 ^ t22;
    let t26 = t21 & t23;
    let t27 = t24 ^ t26;
    let t28 = t25 & t27;
    let t29 = t28 ^ t22;
    let t30 = t23 ^ t24;
    let t31 = t22 ^ t26;
    let t32 = t31 & t30;
    let t33 = t32 ^ t24;
    let t34 = t23 ^ t33;
    let t35 = t27 ^ t33;
    let t36 = t24 & t35;
    let t37 = t36 ^ t34;
    let t38 = t27 ^ t36;
    let t39 = t29 & t38;
    let t40 = t25 ^ t39;
    let t41 = t40 ^ t37;
    let t42 = t29 ^ t33;
    let t43 = t29 ^ t40;
    let t44 = t33 ^ t37;
    let t45 = t42 ^ t41;
    let z0 = t44 & y15;
    let z1 = t37 & y6;
    let z2 = t33 & y0;
    let z3 = t43 & y16;
    let z4 = t40 & y1;
    let z5 = t29 & y7;
    let z6 = t42 & y11;
    let z7 = t45 & y17;
    let z8 = t41 & y10;
    let z9 = t44 & y12;
    let z10 = t37 & y3;
    let z11 = t33 & y4;
    let z12 = t43 & x1;
    let z13 = t40 & y5;
    let z14 = t29 & y2;
    let z15 = t42 & y9;
    let z16 = t45 & y14;
    let z17 = t41 & y8;
    // Back, and the affine map again.
    let v18 = z6 ^ z10;
    let v19 = z9 ^ z15;
    let v20 = z0 ^ z5;
    let v21 = z13 ^ z14;
    let v22 = z4 ^ v18;
    let v23 = z1 ^ z8;
    let v24 = v20 ^ v22;
    let v25 = z7 ^ v21;
    let v26 = z17 ^ v19;
    let v27 = z16 ^ v23;
    let v28 = z11 ^ v24;
    let v29 = v25 ^ v26;
    let v30 = v19 ^ v27;
    let v31 = z12 ^ z16;
    let v32 = z1 ^ v29;
    let v33 = z10 ^ v20;
    let v34 = z2 ^ v28;
    let v35 = z3 ^ v33;
    let v36 = v30 ^ v35;
    let v37 = z11 ^ v26;
    let v38 = v21 ^ v23;
    let v39 = v25 ^ v34;
    let v40 = z3 ^ v29;
    let v41 = z0 ^ v32;
    let v42 = z13 ^ v31;
    let v43 = z15 ^ v42;
    let v44 = v22 ^ v40;
    let v45 = v24 ^ v30;
    let v46 = v18 ^ v41;
    let v47 = v28 ^ v38;
    let v48 = z7 ^ v36;
    [!v48, !v47, v44, v37, !v45, v46, !v39, !v43]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// GB/T 32907, table of the S-box: rows by the high half of the byte.
    const TABLE: &str = "\
        d690e9fecce13db716b614c228fb2c052b679a762abe04c3aa44132649860699\
        9c4250f491ef987a33540b43edcfac62e4b31ca9c908e89580df94fa758f3fa6\
        4707a7fcf37317ba83593c19e6854fa8686b81b27164da8bf8eb0f4b70569d35\
        1e240e5e6358d1a225227c3b01217887d40046579fd327524c3602e7a0c4c89e\
        eabf8ad240c738b5a3f7f2cef96115a1e0ae5da49b341a55ad933230f58cb1e3\
        1df6e22e8266ca60c02923ab0d534e6fd5db3745defd8e2f03ff6a726d6c5b51\
        8d1baf92bbddbc7f11d95c411f105ad80ac13188a5cd7bbd2d74d012b8e5b4b0\
        8969974a0c96777e65b9f109c56ec68418f07dec3adc4d2079ee5f3ed7cb3948";

    #[test]
    fn the_circuit_is_the_table_of_the_standard() {
        let table = hex::decode(TABLE).unwrap();
        for (byte, wanted) in (0..=255u8).zip(table) {
            let out = substitute([0, 1, 2, 3, 4, 5, 6, 7].map(|bit| byte >> bit));
            let got = (0..8).fold(0, |all, bit| all | (out[bit] & 1) << bit);
            assert_eq!(got, wanted, "S({byte:02x})");
        }
    }
}
