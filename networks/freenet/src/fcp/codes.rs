//! The numbers of errors, as programs know them.

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$what:meta])* $code:ident = $number:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$what])* #[doc = $text] $code,)*
        }

        impl $name {
            /// Its number.
            #[must_use]
            pub const fn number(self) -> u8 {
                match self { $(Self::$code => $number,)* }
            }

            /// In words.
            #[must_use]
            pub const fn words(self) -> &'static str {
                match self { $(Self::$code => $text,)* }
            }
        }
    };
}

codes! {
    /// What is wrong with a message.
    ProtocolError {
        ClientHelloMustBeFirst = 1, "ClientHello must be first message";
        NoLateClientHellos = 2, "No late ClientHellos";
        MessageParse = 3, "Message parse error";
        UriParse = 4, "Uri parse error";
        MissingField = 5, "Missing field";
        NumberParse = 6, "Error parsing a numeric field";
        InvalidMessage = 7, "Invalid message";
        InvalidField = 8, "Invalid field value";
        FileNotFound = 9, "File not found";
        DiskTargetExists = 10, "Disk target exists";
        CouldNotRead = 26, "Could not read file";
        BadMime = 35, "Bad MIME type";
        NotADirectory = 23, "Not a file or directory";
        NoSuchIdentifier = 15, "No such identifier";
        NotSupported = 16, "Not supported";
        Internal = 17, "Internal error";
        ShuttingDown = 18, "Shutting down";
        UrlParse = 20, "URL parse error";
        ReferenceParse = 21, "Reference parse error";
        PeerIsSelf = 28, "Cannot peer with self";
        DuplicatePeer = 29, "Duplicate peer reference";
        DarknetOnly = 31, "Darknet only";
        AccessDenied = 24, "Access denied";
        DirectDiskAccessDenied = 25, "Direct disk access denied";
        NoSuchPlugin = 32, "No such plugin";
        PluginsDisabled = 38, "Plugins disabled";
    }
}

codes! {
    /// Why a fetch failed.
    GetFailed {
        NotEnoughPath = 24, "Not enough path components";
        NotInArchive = 10, "Not in archive";
        TooManyPath = 11, "Too many path components";
        Bucket = 12, "Bucket error";
        DataNotFound = 13, "Data not found";
        RouteNotFound = 14, "Route not found";
        RejectedOverload = 15, "Rejected overload";
        Internal = 17, "Internal error";
        InvalidUri = 20, "Invalid URI";
        TooBig = 21, "Too big";
        Cancelled = 25, "Cancelled by caller";
        RecentlyFailed = 30, "Recently failed";
    }
}

codes! {
    /// Why an insertion failed.
    PutFailed {
        InvalidUri = 1, "Invalid URI";
        Internal = 3, "Internal error";
        RejectedOverload = 4, "Rejected overload";
        RouteNotFound = 5, "Route not found";
        Collision = 9, "Collision";
        Cancelled = 10, "Cancelled by caller";
        TooBig = 14, "Too big";
    }
}

impl GetFailed {
    /// Whether trying again is pointless.
    #[must_use]
    pub const fn is_fatal(self) -> bool {
        !matches!(self, Self::Bucket | Self::DataNotFound | Self::RouteNotFound | Self::RejectedOverload | Self::RecentlyFailed)
    }
}

impl PutFailed {
    /// Whether trying again is pointless.
    #[must_use]
    pub const fn is_fatal(self) -> bool {
        !matches!(self, Self::RejectedOverload | Self::RouteNotFound)
    }
}
