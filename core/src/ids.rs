//! Small numbers that name things. Who makes them is said at each.

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);
    };
}

id!(
    /// One connection of a node. Made by the host: through `Context::new_conn` when we dial, with `Input::Opened` when we accept.
    /// Never used twice in a run.
    ConnId(u64)
);
id!(
    /// One operation of a user. Made by the session, unique in a run.
    OpId(u64)
);
id!(
    /// One loan of byte ranges by the transfer engine to one source. Made by the session, unique in a run.
    LeaseId(u64)
);
id!(
    /// One layout that we have, or are fetching. Made by the session, unique in a run.
    ShareId(u64)
);
id!(
    /// One question put to the host. Made by the node; the answer carries it back.
    Ticket(u64)
);
id!(
    /// One of a node's own listening sockets. Numbers are constants of the network.
    Door(u8)
);
