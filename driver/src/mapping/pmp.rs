//! What is said to a gateway at UDP port 5351: PCP (RFC 6887) and NAT-PMP (RFC 6886), bytes and back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Kind, Want};

/// Where a gateway listens.
pub(crate) const PORT: u16 = 5351;
/// PCP's MAP.
const MAP: u8 = 1;
/// Answers have this bit set in their opcode.
const ANSWER: u8 = 0x80;
const PCP_BYTES: usize = 60;

/// What a gateway answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// A port is open.
    Mapped { want: Want, external_port: u16, external_ip: Option<IpAddr>, lifetime_s: u32 },
    /// It speaks the other protocol of the two only.
    OtherVersion,
    /// It does not do that, and why, as a code of its protocol.
    Refused { want: Option<Want>, code: u16 },
    /// Its address outside (NAT-PMP).
    Address(Ipv4Addr),
}

/// PCP: 60 bytes that ask for `external` (0: whatever there is) for so long; 0 s deletes.
pub(crate) fn pcp_map(own: IpAddr, nonce: &[u8; 12], want: Want, external: u16, lifetime_s: u32) -> Vec<u8> {
    let mapped = |ip: IpAddr| match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    };
    let mut bytes = vec![2, MAP, 0, 0];
    bytes.extend_from_slice(&lifetime_s.to_be_bytes());
    bytes.extend_from_slice(&mapped(own));
    bytes.extend_from_slice(nonce);
    bytes.extend_from_slice(&[protocol(want.kind), 0, 0, 0]);
    bytes.extend_from_slice(&want.port.to_be_bytes());
    bytes.extend_from_slice(&external.to_be_bytes());
    // No wish for an address, in the same family (section 11.1).
    let any = if own.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    bytes.extend_from_slice(&mapped(any));
    bytes
}

/// NAT-PMP: the same in 12 bytes.
pub(crate) fn nat_pmp_map(want: Want, external: u16, lifetime_s: u32) -> Vec<u8> {
    let op = if want.kind == Kind::Tcp { 2 } else { 1 };
    let mut bytes = vec![0, op, 0, 0];
    bytes.extend_from_slice(&want.port.to_be_bytes());
    bytes.extend_from_slice(&external.to_be_bytes());
    bytes.extend_from_slice(&lifetime_s.to_be_bytes());
    bytes
}

/// NAT-PMP: which address is outside?
pub(crate) fn nat_pmp_address() -> Vec<u8> {
    vec![0, 0]
}

/// Reads an answer; `None` for what is none, or is one to somebody else's question.
pub(crate) fn read(bytes: &[u8], nonce: &[u8; 12]) -> Option<Told> {
    let u16_at = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let u32_at = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    match *bytes.first()? {
        2 => {
            if bytes.get(1)? & ANSWER == 0 {
                return None;
            }
            let code = *bytes.get(3)?;
            // UNSUPP_VERSION is told in the version that the gateway speaks.
            if code == 1 {
                return Some(Told::OtherVersion);
            }
            if bytes.len() < PCP_BYTES || bytes[1] != MAP | ANSWER || bytes[24..36] != *nonce {
                return None;
            }
            let want = Want { kind: kind(bytes[36])?, port: u16_at(40)? };
            if code != 0 {
                return Some(Told::Refused { want: Some(want), code: code.into() });
            }
            let ip = Ipv6Addr::from(<[u8; 16]>::try_from(&bytes[44..60]).ok()?);
            let external_ip = Some(IpAddr::V6(ip).to_canonical());
            Some(Told::Mapped { want, external_port: u16_at(42)?, external_ip, lifetime_s: u32_at(4)? })
        }
        0 => {
            let (op, code) = (*bytes.get(1)?, u16_at(2)?);
            match op.checked_sub(ANSWER)? {
                // A gateway of NAT-PMP answers PCP with this (RFC 6886, section 3.5).
                _ if code == 1 => Some(Told::OtherVersion),
                0 if code == 0 => Some(Told::Address(Ipv4Addr::from(<[u8; 4]>::try_from(bytes.get(8..12)?).ok()?))),
                op @ (1 | 2) => {
                    let kind = if op == 2 { Kind::Tcp } else { Kind::Udp };
                    if code != 0 {
                        return Some(Told::Refused { want: u16_at(8).map(|port| Want { kind, port }), code });
                    }
                    let want = Want { kind, port: u16_at(8)? };
                    Some(Told::Mapped { want, external_port: u16_at(10)?, external_ip: None, lifetime_s: u32_at(12)? })
                }
                _ => Some(Told::Refused { want: None, code }),
            }
        }
        _ => None,
    }
}

const fn protocol(kind: Kind) -> u8 {
    match kind {
        Kind::Tcp => 6,
        Kind::Udp => 17,
    }
}

const fn kind(protocol: u8) -> Option<Kind> {
    match protocol {
        6 => Some(Kind::Tcp),
        17 => Some(Kind::Udp),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANT: Want = Want { kind: Kind::Tcp, port: 6881 };
    const NONCE: [u8; 12] = *b"twelve bytes";

    #[test]
    fn requests_have_the_bytes_of_their_rfcs() {
        assert_eq!(nat_pmp_map(WANT, 6881, 3600), [0, 2, 0, 0, 0x1a, 0xe1, 0x1a, 0xe1, 0, 0, 0x0e, 0x10]);
        let pcp = pcp_map(IpAddr::from([192, 168, 1, 7]), &NONCE, WANT, 6881, 3600);
        let own = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 168, 1, 7];
        let any = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0];
        let expected = [&[2, 1, 0, 0, 0, 0, 0x0e, 0x10][..], &own, &NONCE, &[6, 0, 0, 0, 0x1a, 0xe1, 0x1a, 0xe1], &any].concat();
        assert_eq!(pcp, expected);
        assert_eq!(pcp.len(), PCP_BYTES);
    }

    #[test]
    fn answers_are_read_and_those_to_others_are_not() {
        let mut pcp = pcp_map(IpAddr::from([192, 168, 1, 7]), &NONCE, WANT, 7000, 1800);
        pcp[1] |= ANSWER;
        pcp[56..60].copy_from_slice(&[203, 0, 113, 9]);
        let external_ip = Some(IpAddr::from([203, 0, 113, 9]));
        assert_eq!(read(&pcp, &NONCE), Some(Told::Mapped { want: WANT, external_port: 7000, external_ip, lifetime_s: 1800 }));
        assert_eq!(read(&pcp, b"other nonce!"), None);
        pcp[3] = 8;
        assert_eq!(read(&pcp, &NONCE), Some(Told::Refused { want: Some(WANT), code: 8 }));
        for length in 0..pcp.len() {
            assert_eq!(read(&pcp[..length], &NONCE), None, "cut at {length}");
        }
        let pmp = [0, 130, 0, 0, 0, 0, 0, 9, 0x1a, 0xe1, 0x1b, 0x58, 0, 0, 0x0e, 0x10];
        assert_eq!(read(&pmp, &NONCE), Some(Told::Mapped { want: WANT, external_port: 7000, external_ip: None, lifetime_s: 3600 }));
        for length in 0..pmp.len() {
            assert_eq!(read(&pmp[..length], &NONCE), None, "cut at {length}");
        }
        assert_eq!(read(&[0, 128, 0, 0, 0, 0, 0, 9, 203, 0, 113, 9], &NONCE), Some(Told::Address(Ipv4Addr::new(203, 0, 113, 9))));
        assert_eq!(read(&[0, 129, 0, 1], &NONCE), Some(Told::OtherVersion));
        assert_eq!(read(&[0, 2, 0, 0, 0x1a, 0xe1, 0, 0, 0, 0, 0, 0], &NONCE), None, "a question is no answer");
    }
}
