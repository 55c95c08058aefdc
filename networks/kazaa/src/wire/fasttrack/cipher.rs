//! Cipher type 01: a key stream from a 32-bit seed. It obscures and does not protect; anybody who listens can read it.

use num_bigint::BigUint;

/// The modulus of the pad, big-endian (`specs/supernodes.md` §3).
const MODULUS: &str = "d453ec0a34eb20ca0a532f6aae08473dc6f2dc0e96e62735dd331dd5522f69d10d7a00501928851271a157acde7aa2fedbd26bb04d23ffc1b6a31787315d578051be\
98b0da2d7944ed64060a96e537a7a4037cdbde3c6725e9db63418443fd050829ee6d18e4dd48d61a70558606342ac3741ca71e4970e510a931f8b42d2df05250e6fe0a77\
03d88781ab210032a3dfe957a9b5d238b5b8363dc15e2c0054b3390a5a36b15e221669f29f9af97bb445695b3ca272f554fce475aa9e6e37192e91fd3a9ebc8c0457e7ee\
26ad19d2974dc11f00e38d5b5eb2e84b25f81b32a36fba1519a15efa55ffe569c5fc96d7f927bf77b6d6193bbd8f31c4a05eeb96841d";
const PAD: usize = 63;

/// The key stream of one direction.
#[derive(Clone, Debug)]
pub struct Keystream {
    pad: [u8; PAD],
    at: usize,
}

fn step(seed: u32) -> u32 {
    seed.wrapping_mul(0x10dcd).wrapping_add(0x4271)
}

impl Keystream {
    /// The stream of a seed.
    #[must_use]
    pub fn new(mut seed: u32) -> Self {
        let mut number = [1_u8; 256];
        for byte in &mut number[..255] {
            seed = step(seed);
            *byte = u8::try_from((seed >> 17) % 224).unwrap_or(0);
        }
        let modulus = BigUint::parse_bytes(MODULUS.as_bytes(), 16).unwrap_or_default();
        let cubed = BigUint::from_bytes_le(&number).modpow(&BigUint::from(3_u8), &modulus).to_bytes_le();
        let mut pad = [0; PAD];
        let length = cubed.len().min(PAD);
        pad[..length].copy_from_slice(&cubed[..length]);
        if pad.iter().all(|byte| byte % 2 == 0) {
            pad[0] |= 0x71;
        }
        let at = usize::try_from(((step(seed) >> 16) * 63) >> 16).unwrap_or(0);
        let mut stream = Self { pad, at };
        stream.mix((at * at + 2) % 59);
        stream
    }

    fn mix(&mut self, from: usize) {
        self.pad[from..from + 5].sort_unstable_by_key(|byte| byte ^ 0x20);
        for place in (5..PAD).step_by(3) {
            let number = u8::try_from(place).unwrap_or(0);
            self.pad[place] = (!self.pad[place]).wrapping_add(number) | 1;
        }
    }

    fn next(&mut self) -> u8 {
        let at = self.at;
        let before = if at == 0 { PAD - 1 } else { at - 1 };
        self.pad[at] = self.pad[at].wrapping_add(self.pad[before]);
        let byte = self.pad[at];
        if at == 7 && byte & 0x70 == 0 {
            let sum = usize::from(byte) + usize::from(self.pad[2]);
            self.mix((sum * sum + 2) % 59);
        }
        self.at = (at + 1) % PAD;
        byte
    }

    /// Enciphers or deciphers the next bytes.
    pub fn apply(&mut self, bytes: &mut [u8]) {
        bytes.iter_mut().for_each(|byte| *byte ^= self.next());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest as _, Sha256};

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// From `vectors/fasttrack/README.md` of the shared vectors, which were compared with the original program's cipher.
    #[test]
    fn key_streams_are_those_of_the_original() {
        for (seed, first, all) in [
            (0x0000_0000, "a3ed06c136190f04", "691d87b3f0e072f81706e2d8fa3368141b87e7ac842f7ee03255302184ac25bc"),
            (0x0000_0001, "fb5b402f3831bca7", "31607127f3cd644f1af7aeb2cf30a4cb8c54550434872ce031e2cbfab36f31ac"),
            (0xfacb_1238, "308d04bffc3ebd21", "43cc97cef2c77ac55c83bc377418b4320bd5239a846645ec5fc11e4c7b818f3d"),
            (0x5358_5431, "5a9bf46912e15063", "c6d3675b218a892dacb65b79a8a713d9200a2de8fc170c791577ccb61669760c"),
            (0x7fff_ffff, "47c6f0d712a6cfd2", "12b38b78b06a4d20a89d30082b95e60707039336da571dff8fda85454ccf58f4"),
            (0xffff_ffff, "b9231cd9e15ac944", "f0b302228e5391e30eb6b815ff6e2b0b761f5393dea6efd0dba05bdcca93c53c"),
            (0xdead_beef, "df69aa739cd35c49", "179b7d36c26df1cfb3ae5837f1b4b1bf212f90abfac2a73e0fd0386bd6df84a1"),
            (0x0000_ffff, "458fb6250d9782fc", "611f656b61209caa61c3f1d779567df99e1778efa29bde4aac67fdafe84572e0"),
        ] {
            let mut bytes = [0; 4096];
            Keystream::new(seed).apply(&mut bytes);
            assert_eq!(hex(&bytes[..8]), first, "seed {seed:08x}");
            assert_eq!(hex(&Sha256::digest(bytes)), all, "seed {seed:08x}");
        }
    }
}
