//! 16 opaque bytes that name a message or a servent. Spec §1.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};

use hexad_core::Dice;

/// The id of a message (MUID) or of a servent.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid(pub [u8; 16]);

impl Guid {
    /// A fresh one, with the two bytes by which modern servents are known.
    pub fn fresh(dice: &mut Dice) -> Self {
        let mut bytes = dice.bytes::<16>();
        bytes[8] = 0xff;
        bytes[15] = 0;
        Self(bytes)
    }

    /// Whether it names nobody.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.0 == [0; 16]
    }

    /// The same with the UDP address at which hits are wanted, as out-of-band queries carry it.
    #[must_use]
    pub fn with_address(mut self, at: SocketAddrV4) -> Self {
        self.0[..4].copy_from_slice(&at.ip().octets());
        self.0[13..15].copy_from_slice(&at.port().to_le_bytes());
        self
    }

    /// The address in an out-of-band query.
    #[must_use]
    pub fn address(&self) -> SocketAddrV4 {
        let ip = Ipv4Addr::new(self.0[0], self.0[1], self.0[2], self.0[3]);
        SocketAddrV4::new(ip, u16::from_le_bytes([self.0[13], self.0[14]]))
    }

    /// The same without the address: what stays equal when several ultrapeers proxy one query.
    #[must_use]
    pub fn without_address(mut self) -> Self {
        self.0[..4].fill(0);
        self.0[13..15].fill(0);
        self
    }

    /// Reads 32 hex digits.
    #[must_use]
    pub fn of_hex(text: &str) -> Option<Self> {
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// As push proxies are asked for it.
    #[must_use]
    pub fn base32(&self) -> String {
        data_encoding::BASE32_NOPAD.encode(&self.0)
    }

    /// Reads 26 letters of base 32.
    #[must_use]
    pub fn of_base32(text: &str) -> Option<Self> {
        let bytes = data_encoding::BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).ok()?;
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guid({self})")
    }
}
