//! Packet numbers, which wrap.

/// A packet's number on one connection. Numbers count packets, not bytes, and wrap after 65,535.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Seq(pub u16);

impl Seq {
    /// The number `steps` packets later.
    #[must_use]
    pub const fn plus(self, steps: u16) -> Self {
        Self(self.0.wrapping_add(steps))
    }

    /// The number `steps` packets earlier.
    #[must_use]
    pub const fn minus(self, steps: u16) -> Self {
        Self(self.0.wrapping_sub(steps))
    }

    /// How many packets later than `other` this is; half of all numbers lie behind and are negative.
    #[must_use]
    pub const fn after(self, other: Self) -> i16 {
        self.0.wrapping_sub(other.0).cast_signed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_round() {
        assert_eq!(Seq(2).after(Seq(65_535)), 3);
        assert_eq!(Seq(65_535).after(Seq(2)), -3);
        assert_eq!(Seq(65_535).plus(1), Seq(0));
        assert_eq!(Seq(0).minus(1), Seq(65_535));
    }
}
