//! Arithmetic modulo 2^255 - 19, only as much as turns many Curve25519 keys into their Ed25519
//! form with one inversion. For public values: it is not constant in time.

/// A number as five limbs of 51 bits, each a few bits longer between reductions.
#[derive(Clone, Copy, Debug)]
struct Number([u64; 5]);

const LIMB_BITS: u32 = 51;
const LIMB: u64 = (1 << LIMB_BITS) - 1;
const ONE: Number = Number([1, 0, 0, 0, 0]);

/// (u - 1) / (u + 1) for each u in little-endian bytes; `None` where u + 1 is zero.
///
/// This is the y coordinate of the Edwards point (RFC 7748, section 4.1).
pub(super) fn edwards_y(keys: &[[u8; 32]]) -> Vec<Option<[u8; 32]>> {
    let us: Vec<Number> = keys.iter().map(Number::read).collect();
    let divisors: Vec<Number> = us.iter().map(|u| u.plus(&ONE).or_one()).collect();
    let mut products = vec![ONE];
    products.extend(divisors.iter().scan(ONE, |product, divisor| {
        *product = product.times(divisor);
        Some(*product)
    }));
    let mut inverse = products[keys.len()].inverse();
    let mut ys = vec![None; keys.len()];
    for i in (0..keys.len()).rev() {
        let quotient = us[i].minus_one().times(&inverse.times(&products[i]));
        inverse = inverse.times(&divisors[i]);
        ys[i] = (!us[i].plus(&ONE).is_zero()).then(|| quotient.write());
    }
    ys
}

impl Number {
    /// The top bit is passed over (RFC 7748, section 5).
    fn read(bytes: &[u8; 32]) -> Number {
        let words = bytes.as_chunks::<8>().0;
        let [a, b, c, d] = std::array::from_fn(|i| u64::from_le_bytes(words[i]));
        Number([
            a & LIMB,
            (a >> 51 | b << 13) & LIMB,
            (b >> 38 | c << 26) & LIMB,
            (c >> 25 | d << 39) & LIMB,
            d >> 12 & LIMB,
        ])
    }

    fn plus(&self, other: &Number) -> Number {
        Number(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }

    /// Twice the modulus is added so that no limb goes below zero.
    fn minus_one(&self) -> Number {
        let twice = [2 * LIMB - 36, 2 * LIMB, 2 * LIMB, 2 * LIMB, 2 * LIMB];
        let mut limbs = std::array::from_fn(|i| self.0[i] + twice[i]);
        limbs[0] -= 1;
        Number(limbs)
    }

    fn times(&self, other: &Number) -> Number {
        let (a, b) = (&self.0, &other.0);
        let mut sums = [0u128; 5];
        for i in 0..5 {
            for j in 0..5 {
                let wrap = if i + j >= 5 { 19 } else { 1 };
                sums[(i + j) % 5] += u128::from(a[i]) * u128::from(b[j] * wrap);
            }
        }
        let mut limbs = [0; 5];
        let mut carry = 0;
        for (limb, sum) in limbs.iter_mut().zip(sums) {
            let sum = sum + carry;
            *limb = (sum & u128::from(LIMB)) as u64;
            carry = sum >> LIMB_BITS;
        }
        let low = u128::from(limbs[0]) + carry * 19;
        limbs[0] = (low & u128::from(LIMB)) as u64;
        limbs[1] += (low >> LIMB_BITS) as u64;
        Number(limbs)
    }

    /// The power p - 2, whose bits are all set but for those of 20.
    fn inverse(&self) -> Number {
        (0..255).rev().fold(ONE, |power, bit| {
            let square = power.times(&power);
            if bit == 2 || bit == 4 { square } else { square.times(self) }
        })
    }

    /// The number fully reduced, in little-endian bytes.
    fn write(&self) -> [u8; 32] {
        let Number(mut limbs) = self.times(&ONE);
        carry(&mut limbs);
        let above = limbs.iter().fold(19, |carry, limb| (limb + carry) >> LIMB_BITS);
        limbs[0] += 19 * above;
        carry(&mut limbs);
        let [a, b, c, d, e] = limbs;
        let words = [a | b << 51, b >> 13 | c << 38, c >> 26 | d << 25, d >> 39 | e << 12];
        let bytes = words.map(u64::to_le_bytes);
        bytes.as_flattened().try_into().expect("four times eight")
    }

    fn is_zero(&self) -> bool {
        self.write() == [0; 32]
    }

    fn or_one(self) -> Number {
        if self.is_zero() { ONE } else { self }
    }
}

/// Brings every limb below 2^51 but for what comes back from the top.
fn carry(limbs: &mut [u64; 5]) {
    for i in 0..4 {
        limbs[i + 1] += limbs[i] >> LIMB_BITS;
        limbs[i] &= LIMB;
    }
    limbs[4] &= LIMB;
}
