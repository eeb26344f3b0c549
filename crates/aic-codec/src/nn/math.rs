//! Exponential, logarithm and the functions of the network that are made of them: polynomials in single precision, to
//! about 2 units in the last place, without a table, a branch or a call, so that loops over them become vectors.

use multiversion::multiversion;

use super::HOP;

/// `e^x` for |x| ≤ 87; beyond that, the value at the border.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Adding this leaves the nearest integer in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 87.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    // ln 2 in two parts, the first exact in products with n (Cody and Waite).
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    (p * r * r + r + 1.0) * power
}

/// Natural logarithm of a positive, normal number.
#[inline(always)]
pub(crate) fn ln(x: f32) -> f32 {
    // x = m · 2^e with m in [√½, √2).
    let offset = x.to_bits().wrapping_sub(0x3f35_04f3);
    let e = (offset.cast_signed() >> 23) as f32;
    let m = f32::from_bits((offset & 0x007f_ffff).wrapping_add(0x3f35_04f3)) - 1.0;
    let z = m * m;
    let p = 7.037_683_6e-2;
    let p = p * m - 1.151_461e-1;
    let p = p * m + 1.167_699_9e-1;
    let p = p * m - 1.242_014_1e-1;
    let p = p * m + 1.424_932_3e-1;
    let p = p * m - 1.666_805_8e-1;
    let p = p * m + 2.000_071_5e-1;
    let p = p * m - 2.499_999_4e-1;
    let p = p * m + 3.333_333e-1;
    let y = p * m * z - e * 2.121_944_4e-4 - 0.5 * z;
    m + y + e * 0.693_359_4
}

/// The network's inverse hyperbolic sine: by logarithm of the magnitude, as it was trained.
#[inline(always)]
pub(crate) fn asinh(x: f32) -> f32 {
    let a = x.abs();
    ln(a + (a * a + 1.0).sqrt()).copysign(x)
}

/// `x / (1 + e^-x)` in place.
#[multiversion(targets("x86_64+avx+avx2+avx512f+avx512vl", "x86_64+avx+avx2"))]
pub(crate) fn silu(values: &mut [f32]) {
    for x in values {
        *x /= 1.0 + exp(-*x);
    }
}

/// A spectrum as the encoder sees it: `3c`, then `0.5 asinh(100 c)`.
#[multiversion(targets("x86_64+avx+avx2+avx512f+avx512vl", "x86_64+avx+avx2"))]
pub(crate) fn compand(spectrum: &[f32; HOP], features: &mut [f32; 2 * HOP]) {
    let (plain, companded) = features.split_at_mut(HOP);
    for ((c, plain), companded) in spectrum.iter().zip(plain).zip(companded) {
        *plain = 3.0 * c;
        *companded = 0.5 * asinh(100.0 * c);
    }
}

/// The decoder's output to a spectrum: `0.01 sinh(c) e^(g/5)`, `c` the first half and `g` the second.
#[multiversion(targets("x86_64+avx+avx2+avx512f+avx512vl", "x86_64+avx+avx2"))]
pub(crate) fn expand(output: &[f32; 2 * HOP], spectrum: &mut [f32; HOP]) {
    let (c, g) = output.split_at(HOP);
    for ((value, c), g) in spectrum.iter_mut().zip(c).zip(g) {
        let c = c.clamp(-9.0, 9.0);
        let sinh = 0.5 * (exp(c) - exp(-c));
        *value = 0.01 * sinh * exp(0.2 * g.clamp(-20.0, 20.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(ours: f32, exact: f64, x: f32) {
        let error = (f64::from(ours) - exact).abs() / exact.abs().max(1e-30);
        assert!(error < 4e-7, "at {x}: {ours} and not {exact}, off by {error:e}");
    }

    #[test]
    fn exponential_and_logarithm_agree_with_the_exact_ones() {
        for n in -87_000..=87_000 {
            let x = n as f32 / 1000.0;
            close(exp(x), f64::from(x).exp(), x);
        }
        for n in 1..200_000 {
            let x = 1.0 + n as f32 / 31.0;
            close(ln(x), f64::from(x).ln(), x);
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(ln(1.0), 0.0);
        assert!(exp(f32::INFINITY).is_finite() && exp(-1e9) > 0.0);
    }

    #[test]
    fn asinh_is_odd_and_close() {
        for n in 1..20_000 {
            let x = n as f32 / 10.0;
            assert!((f64::from(asinh(x)) - f64::from(x).asinh()).abs() < 1e-6);
            assert_eq!(asinh(-x), -asinh(x));
        }
        assert_eq!(asinh(0.0), 0.0);
    }

    #[test]
    fn silu_is_close() {
        let mut values: Vec<f32> = (-400..400).map(|n| n as f32 / 10.0).collect();
        let exact: Vec<f64> = values.iter().map(|x| f64::from(*x) / (1.0 + (-f64::from(*x)).exp())).collect();
        silu(&mut values);
        for (ours, exact) in values.iter().zip(exact) {
            assert!((f64::from(*ours) - exact).abs() < 3e-6, "{ours} {exact}");
        }
    }
}
