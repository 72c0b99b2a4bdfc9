//! How far the model checker looks.

/// How often each thing may happen on one path. Every order of them is visited.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How long after a rotation the token before it is still answered, in ticks.
    pub grace: u8,
    /// How far time moves on, in ticks.
    pub ticks: u8,
    /// How many refreshes the client begins.
    pub client_refreshes: u8,
    /// How many refreshes the thief begins.
    pub thief_refreshes: u8,
    /// How many logouts, and logouts everywhere, are begun.
    pub endings: u8,
    /// How many polls are begun.
    pub polls: u8,
    /// How many logins on another device are begun.
    pub logins: u8,
    /// How many operations are under way at a time.
    pub under_way: usize,
    /// How many nodes crash.
    pub crashes: u8,
    /// How many answers of the store, or to a client, are lost.
    pub lost_answers: u8,
    /// How many calls the store refuses.
    pub refusals: u8,
}

impl Bounds {
    /// Client and thief refresh. Nothing ends the session but what they do.
    pub const ROTATION: Self = Self {
        grace: 2,
        ticks: 4,
        client_refreshes: 3,
        thief_refreshes: 2,
        endings: 0,
        polls: 0,
        logins: 0,
        under_way: 2,
        crashes: 0,
        lost_answers: 1,
        refusals: 0,
    };

    /// The client refreshes in two tabs, while nodes crash, answers are lost and the store refuses.
    pub const OUTAGE: Self =
        Self { client_refreshes: 4, thief_refreshes: 0, crashes: 1, refusals: 1, ..Self::ROTATION };

    /// The same without a grace.
    pub const NO_GRACE: Self = Self { grace: 0, client_refreshes: 3, ticks: 2, ..Self::OUTAGE };

    /// The user logs out, or logs out everywhere, while the client refreshes and the nodes poll.
    pub const ENDING: Self = Self {
        ticks: 5,
        client_refreshes: 1,
        thief_refreshes: 0,
        endings: 1,
        polls: 2,
        lost_answers: 0,
        ..Self::ROTATION
    };

    /// The user logs out while a node crashes, an answer is lost and the store refuses.
    pub const ENDING_IN_OUTAGE: Self =
        Self { ticks: 3, client_refreshes: 0, lost_answers: 1, crashes: 1, refusals: 1, ..Self::ENDING };

    /// The user logs out here and everywhere, and logs in meanwhile.
    pub const LOGIN: Self =
        Self { ticks: 1, client_refreshes: 0, endings: 2, polls: 0, logins: 1, under_way: 3, ..Self::ENDING };
}
