use std::time::Duration;

/// What happens to one connection.
#[derive(Clone, Copy, Debug)]
pub enum ConnectionFault {
    /// Every piece of at most 64 KiB is held up for so long, in both directions.
    Delay(Duration),
    /// It ends once the client has sent so many bytes.
    Cut {
        /// The number of bytes.
        after: u64,
        /// The way it ends.
        by: Ending,
    },
    /// It ends once so many bytes of answers have come back.
    CutAnswers {
        /// The number of bytes.
        after: u64,
        /// The way it ends.
        by: Ending,
    },
    /// Of the answers, or of those from a request on whose first line ends so, only so many bytes are what they were.
    GarbleAnswers {
        /// The end of the request's first line; any request when there is none.
        to: Option<&'static str>,
        /// The number of bytes.
        after: u64,
    },
    /// Once the client has sent so many bytes, nobody reads any more, and nobody says so.
    Stall {
        /// The number of bytes.
        after: u64,
    },
    /// Once so many bytes of answers have come back, no more come, and nobody says so.
    StallAnswers {
        /// The number of bytes.
        after: u64,
    },
    /// Once the client has sent so many bytes it is told that no answer will come; what it sends is still read.
    HalfClose {
        /// The number of bytes.
        after: u64,
    },
    /// Once the client has sent so many bytes it is told to come back later, and the connection is closed.
    SendAway {
        /// The number of bytes.
        after: u64,
    },
    /// The client's bytes are read slowly, out of small buffers.
    SlowReader,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug)]
pub enum Ending {
    /// As if nothing were wrong.
    Fin,
    /// By a reset.
    Reset,
}

impl ConnectionFault {
    /// Returns `true` when nobody may ever say that anything is wrong: a garbled length is one to wait for.
    #[must_use]
    pub fn may_be_silent(self) -> bool {
        matches!(self, Self::Stall { .. } | Self::StallAnswers { .. } | Self::GarbleAnswers { .. })
    }

    /// The numbers of bytes that are passed on in each direction: of the client's, and of the server's.
    pub(super) fn limits(self) -> (u64, u64) {
        match self {
            Self::Cut { after, .. }
            | Self::Stall { after }
            | Self::HalfClose { after }
            | Self::SendAway { after } => (after, u64::MAX),
            Self::CutAnswers { after, .. } | Self::StallAnswers { after } => (u64::MAX, after),
            Self::Delay(_) | Self::GarbleAnswers { .. } | Self::SlowReader => (u64::MAX, u64::MAX),
        }
    }

    /// The time for which every piece is held up.
    pub(super) fn pause(self) -> Duration {
        match self {
            Self::Delay(pause) => pause,
            Self::SlowReader => Duration::from_millis(5),
            _ => Duration::ZERO,
        }
    }
}
