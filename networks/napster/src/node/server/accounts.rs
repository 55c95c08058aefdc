//! Registered names, as the host's store keeps them.

use crate::wire::Text;

/// Where accounts are stored, by name in lower case.
pub(crate) const ACCOUNTS: hexad_core::Bucket = "napster_accounts";
/// Where the ban list is stored.
pub(crate) const BANS: hexad_core::Bucket = "napster_bans";

/// What somebody may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Less than others.
    Leech,
    /// What everybody may.
    #[default]
    User,
    /// Throw out, ban and silence users.
    Moderator,
    /// Make moderators.
    Admin,
    /// Everything.
    Elite,
}

impl Level {
    const ALL: [(Self, &'static str); 5] =
        [(Self::Leech, "Leech"), (Self::User, "User"), (Self::Moderator, "Moderator"), (Self::Admin, "Admin"), (Self::Elite, "Elite")];

    /// Its name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(level, _)| *level == self).map_or("User", |(_, name)| name)
    }

    pub(crate) fn of(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, other)| name.eq_ignore_ascii_case(other.as_bytes())).map(|(level, _)| level)
    }
}

/// One registered name. The password is kept as its Argon2id hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) nick: Text,
    pub(crate) salt: [u8; 16],
    pub(crate) hash: Vec<u8>,
    pub(crate) level: Level,
    pub(crate) muzzled: bool,
    /// Seconds since 1970.
    pub(crate) created: u64,
    pub(crate) seen: u64,
    pub(crate) email: Text,
}

const VERSION: u8 = 1;

impl Account {
    pub(crate) fn write(&self) -> Vec<u8> {
        let level = Level::ALL.iter().position(|(level, _)| *level == self.level).unwrap_or(1);
        let mut out = vec![VERSION, u8::try_from(level).unwrap_or(1), u8::from(self.muzzled)];
        out.extend_from_slice(&self.salt);
        out.extend_from_slice(&self.created.to_le_bytes());
        out.extend_from_slice(&self.seen.to_le_bytes());
        for part in [&*self.hash, self.nick.bytes(), self.email.bytes()] {
            out.push(u8::try_from(part.len()).unwrap_or(u8::MAX));
            out.extend_from_slice(&part[..part.len().min(usize::from(u8::MAX))]);
        }
        out
    }

    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (&[version, level, muzzled], rest) = bytes.split_first_chunk()?;
        let (&salt, rest) = rest.split_first_chunk()?;
        let (&created, rest) = rest.split_first_chunk()?;
        let (&seen, mut rest) = rest.split_first_chunk()?;
        let mut part = || {
            let (&length, after) = rest.split_first()?;
            let (here, after) = after.split_at_checked(length.into())?;
            rest = after;
            Some(here)
        };
        let (hash, nick, email) = (part()?.to_vec(), part()?.into(), part()?.into());
        let level = Level::ALL.get(usize::from(level)).filter(|_| version == VERSION)?.0;
        Some(Self {
            nick,
            salt,
            hash,
            level,
            muzzled: muzzled != 0,
            created: u64::from_le_bytes(created),
            seen: u64::from_le_bytes(seen),
            email,
        })
    }
}

/// Whether two hashes are the same, in a time that does not tell where they differ.
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

/// The name by which a nick is found: upper and lower case are the same.
pub(crate) fn key_of(nick: &[u8]) -> Text {
    nick.to_ascii_lowercase().into()
}

/// Whether this can be a name.
pub(crate) fn is_nick(nick: &[u8], bytes_max: usize) -> bool {
    const RESERVED: [&[u8]; 5] = [b"operserv", b"chanserv", b"operator", b"nickserv", b"server"];
    let fine = |&byte: &u8| (b'!'..=b'~').contains(&byte) && !b"%$*?.!\",\\".contains(&byte);
    (1..=bytes_max).contains(&nick.len())
        && nick.iter().all(fine)
        && !b"#&:-".contains(&nick[0])
        && !RESERVED.iter().any(|reserved| nick.eq_ignore_ascii_case(reserved))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_read_as_what_was_written() {
        let account = Account {
            nick: "Bob".into(),
            salt: [3; 16],
            hash: vec![9; 32],
            level: Level::Admin,
            muzzled: true,
            created: 1_800_000_000,
            seen: 1_900_000_000,
            email: "b@o.b".into(),
        };
        let bytes = account.write();
        assert_eq!(Account::read(&bytes), Some(account));
        for end in 0..bytes.len() {
            assert_eq!(Account::read(&bytes[..end]), None);
        }
    }

    #[test]
    fn names_are_what_old_servers_allow() {
        for nick in ["bob", "Anna2", "x^[]{}_", "a-b", "1"] {
            assert!(is_nick(nick.as_bytes(), 19), "{nick}");
        }
        for nick in ["", "#joe", "-x", "bad nick", "a.b", "q\"", "operator", "NickServ", "Bj\u{f6}rk", "a123456789012345678901234567890"] {
            assert!(!is_nick(nick.as_bytes(), 19), "{nick}");
        }
    }
}
