//! Mistakes that can be put into the model, one at a time.

/// A mistake that the author of a store or of a change of the protocol could make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// A rotation reads the record in one step and writes it in the next.
    RotateReadsThenWrites,
    /// Each replay starts the grace anew.
    GraceSlides,
    /// The grace admits every earlier token, not only the direct predecessor.
    GraceAdmitsAll,
    /// A replay gives a refresh token of its own instead of the current one.
    ReplayForks,
    /// The grace also answers for a session that has ended.
    GraceBeatsEnding,
    /// A reuse is refused, and the session goes on.
    ReuseEndsNothing,
    /// An outage of the store during a refresh ends the session.
    OutageEndsSession,
    /// A rotation that is asked again asks for another next token.
    RetryAsksForAnother,
    /// The client receives the answer of a logout before the store has written it.
    LogoutAnswersFirst,
    /// A node serves guarded requests after a restart before it has read what has ended.
    ServesBeforeLoad,
    /// A poll reads from the last one on, without looking further back.
    NoOverlap,
    /// A poll counts from when its answer came, not from when it began.
    PollCountsFromItsAnswer,
    /// What has ended is remembered for the access lifetime alone, without room for clocks.
    HorizonWithoutClocks,
    /// Logging out everywhere ends the sessions, and raises the version only after it has answered.
    VersionRaisedLast,
    /// What the store could not take is written later with the stamp of the first try.
    LateWithoutRestamp,
}

impl Flaw {
    /// Every flaw.
    pub const ALL: [Self; 15] = [
        Self::RotateReadsThenWrites,
        Self::GraceSlides,
        Self::GraceAdmitsAll,
        Self::ReplayForks,
        Self::GraceBeatsEnding,
        Self::ReuseEndsNothing,
        Self::OutageEndsSession,
        Self::RetryAsksForAnother,
        Self::LogoutAnswersFirst,
        Self::ServesBeforeLoad,
        Self::NoOverlap,
        Self::PollCountsFromItsAnswer,
        Self::HorizonWithoutClocks,
        Self::VersionRaisedLast,
        Self::LateWithoutRestamp,
    ];
}
