//! What a node does for a client: several steps, between which anything else may happen.

use crate::record::{Answer, Token};

/// One of the two nodes.
pub type NodeId = usize;

/// A holder of refresh tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// The user's own browser.
    Client,
    /// A thief, who copied the client's refresh token.
    Thief,
}

/// An operation that is under way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Operation {
    /// Where it runs. A crash of the node takes it along.
    pub node: NodeId,
    /// When it began, in global time.
    pub began: u8,
    /// What it does, and how far it is.
    pub work: Work,
}

/// What an operation does, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Work {
    /// A refresh.
    Refresh {
        /// The holder of the token.
        by: Holder,
        /// The token that was presented.
        token: Token,
        /// The `iat` of the access token, stamped before the store is asked.
        issued_at: u8,
        /// The id of the next token, once the store was asked: it is asked again with the same.
        next: Option<u8>,
        /// The store has rotated for it, and the answer was lost.
        has_rotated: bool,
        /// The step that comes next.
        step: RefreshStep,
    },
    /// A logout of the session.
    Logout {
        /// The stamp of the end.
        at: u8,
        /// The step that comes next.
        step: EndStep,
    },
    /// A logout everywhere.
    LogoutAll {
        /// The stamp of the end.
        at: u8,
        /// The step that comes next.
        step: EndStep,
    },
    /// A login that has read the user, and makes a session when the password is verified.
    Login {
        /// The user's token version that it has read.
        version: u8,
    },
}

/// The next step of a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefreshStep {
    /// Reads the user.
    ReadUser,
    /// Has the store rotate.
    Rotate {
        /// The user's token version.
        version: u8,
    },
    /// Writes what an earlier step decided: only with a flaw.
    Write {
        /// The token that the record gets.
        token: Token,
    },
    /// Answers the client.
    Answer(Answer),
}

/// The next step of an ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndStep {
    /// Raises the user's token version: for a logout everywhere.
    Raise,
    /// Writes the end.
    Write,
    /// Answers the client that it is done.
    Answer,
    /// Writes the end later, because the store refused it. The client received an error.
    WriteLate,
    /// Raises the version after the answer: only with a flaw.
    RaiseLate,
    /// Writes the end after the answer: only with a flaw.
    WriteAnswered,
}
