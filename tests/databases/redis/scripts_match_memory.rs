//! Compares the scripts with the store in memory, which runs `session::decide`. Both do thousands
//! of random steps, and every answer is the same.

#![expect(clippy::cast_possible_truncation, reason = "a dice has few sides")]

use std::{collections::BTreeSet, time::Duration};

use portcullis::{
    clock::Timestamp,
    session::{EndReason, Ended, RotateOutcome, Rotation, Session, SessionId, TokenId},
    store::{EndAll, Keep, NewSession, SessionLimit, SessionStore, memory::MemorySessions, redis::RedisSessions},
    user::UserId,
};

use super::{
    Server,
    samples::{GRACE, IDLE, NOW, session},
};

const ROUNDS: u64 = 40;
const STEPS: usize = 120;
const TOMBSTONE: Duration = Duration::from_secs(960);

/// A random number generator (xorshift). A seed gives the same steps in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let len = items.len() as u64;
        if len == 0 { None } else { items.get(self.roll(len) as usize) }
    }

    fn token(&mut self) -> TokenId {
        TokenId::from_bytes(
            [self.roll(u64::MAX).to_le_bytes(), self.roll(u64::MAX).to_le_bytes()].concat().try_into().unwrap(),
        )
    }
}

/// A session and every token that it has had.
struct Known {
    user: usize,
    id: SessionId,
    tokens: Vec<(u64, TokenId)>,
}

struct Game {
    dice: Dice,
    now: Timestamp,
    /// Each user with their token version.
    users: Vec<(UserId, u64)>,
    raised_until: [Option<Timestamp>; 3],
    known: Vec<Known>,
    last: Option<Rotation>,
    memory: MemorySessions,
    redis: RedisSessions,
}

#[tokio::test]
async fn redis_gives_the_same_answers_as_memory() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    let mut rotated = BTreeSet::new();
    for round in 1..=ROUNDS {
        let users = ["ada", "{eve}", "a\0b}{"].map(|id| (UserId::from(id), 3));
        let mut game = Game {
            dice: Dice(round.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            now: NOW,
            users: users.into(),
            raised_until: [None; 3],
            known: Vec::new(),
            last: None,
            memory: MemorySessions::default(),
            redis: server.store().await,
        };
        for step in 0..STEPS {
            let what = format!("round {round}, step {step}");
            game.advance();
            match game.dice.roll(20) {
                0..=4 => game.create(&what).await,
                5..=13 => drop(rotated.insert(game.rotate(&what).await)),
                14..=15 => game.end(&what).await,
                16 => game.end_all(&what).await,
                _ => game.look(&what).await,
            }
        }
    }
    let all = ["ended", "foreign", "replayed", "reused", "rotated", "stale", "superseded", "unknown"];
    assert_eq!(rotated, BTreeSet::from(all), "every row of the table was met");
}

impl Game {
    fn advance(&mut self) {
        let millis = match self.dice.roll(40) {
            0 => 1000 * self.dice.roll(4000),
            1..=8 => 9_999 + self.dice.roll(3),
            _ => 1 + self.dice.roll(2500),
        };
        self.now = self.now.plus(Duration::from_millis(millis));
    }

    fn ended(&self, reason: EndReason) -> Ended {
        Ended { at: self.now, reason, keep_until: self.now.plus(TOMBSTONE) }
    }

    fn any(&mut self) -> Option<(usize, SessionId)> {
        self.dice.pick(&self.known).map(|known| (known.user, known.id))
    }

    async fn create(&mut self, what: &str) {
        let user = self.dice.roll(3) as usize;
        let id = SessionId::from_bytes(*self.dice.token().as_bytes());
        let token_id = self.dice.token();
        let mut record = session(&self.users[user].0, id, self.now);
        record.token_id = token_id;
        record.token_version = self.users[user].1;
        // This login read the user before the version was raised. No login takes longer than a
        // tombstone lasts.
        let late = self.dice.roll(8) == 0 && self.raised_until[user].is_none_or(|until| self.now < until);
        record.token_version -= u64::from(late);
        let limit = match self.dice.roll(4) {
            0 => SessionLimit::Refuse(1 + self.dice.roll(4) as usize),
            _ => SessionLimit::EndLeastRecentlyUsed(self.dice.roll(5) as usize),
        };
        let mut new = NewSession::new(record, limit, TOMBSTONE);
        if self.dice.roll(3) == 0 {
            new.replaces = self.any().map(|(user, id)| (self.users[user].0.clone(), id));
        }
        let (ours, theirs) = (self.redis.create(new.clone()).await, self.memory.create(new).await);
        let gone = |answer: Result<portcullis::store::Created, _>| {
            answer.map(|it| (BTreeSet::from_iter(it.ended), BTreeSet::from_iter(it.outdated), it.ended_at_once))
        };
        assert_eq!(format!("{:?}", gone(ours)), format!("{:?}", gone(theirs)), "{what}: create");
        self.known.push(Known { user, id, tokens: vec![(0, token_id)] });
    }

    async fn rotate(&mut self, what: &str) -> &'static str {
        let Some(at) = (!self.known.is_empty()).then(|| self.dice.roll(self.known.len() as u64) as usize) else {
            return "unknown";
        };
        let next_token_id = self.dice.token();
        let known = &self.known[at];
        let newest = known.tokens.len() - 1;
        let back = [0, 0, 0, 0, 1, 1, 2, 3][self.dice.roll(8) as usize];
        let (mut generation, mut token_id) = known.tokens[newest.saturating_sub(back)];
        match self.dice.roll(16) {
            0 => token_id = next_token_id,
            1 => generation += 1,
            _ => {}
        }
        let (user_id, version) = self.users[known.user].clone();
        // The clock of another node may be behind, but what has expired may already be deleted.
        let is_there = self.memory.find(&user_id, &known.id, self.now).await.unwrap().is_some();
        let behind = if is_there && self.dice.roll(20) == 0 { 30 } else { 0 };
        let mut rotation = Rotation {
            user_id,
            session_id: known.id,
            generation,
            token_id,
            token_version: version,
            next_token_id,
            now: self.now.minus(Duration::from_secs(behind)),
            grace: if self.dice.roll(4) == 0 { Duration::ZERO } else { GRACE },
            idle: IDLE * (1 + self.dice.roll(30) as u32),
            tombstone: TOMBSTONE,
        };
        match self.dice.roll(12) {
            0 => rotation.token_version -= 1,
            1 => {
                if let Some(last) = &self.last {
                    rotation = Rotation { now: self.now, ..last.clone() };
                }
            }
            _ => {}
        }
        let (ours, theirs) =
            (self.redis.rotate(&rotation).await.unwrap(), self.memory.rotate(&rotation).await.unwrap());
        assert_eq!(ours, theirs, "{what}: {rotation:?}");
        self.last = Some(rotation);
        if let RotateOutcome::Rotated(session) = &ours {
            self.learn(session);
        }
        match ours {
            RotateOutcome::Rotated(_) => "rotated",
            RotateOutcome::Replayed(_) => "replayed",
            RotateOutcome::Ended(_) => "ended",
            RotateOutcome::Reused => "reused",
            RotateOutcome::Superseded => "superseded",
            RotateOutcome::Foreign => "foreign",
            RotateOutcome::StaleUser => "stale",
            _ => "unknown",
        }
    }

    fn learn(&mut self, session: &Session) {
        let known = self.known.iter_mut().find(|known| known.id == session.id).unwrap();
        let token = (session.generation, session.token_id);
        if known.tokens.last() != Some(&token) {
            known.tokens.push(token);
        }
    }

    async fn end(&mut self, what: &str) {
        let Some((user, id)) = self.any() else { return };
        let (user, ended) = (&self.users[user].0, self.ended(EndReason::Logout));
        let (ours, theirs) = (self.redis.end(user, &id, ended).await, self.memory.end(user, &id, ended).await);
        assert_eq!(ours.unwrap(), theirs.unwrap(), "{what}: end");
    }

    async fn end_all(&mut self, what: &str) {
        let Some((user, id)) = self.any() else { return };
        let keeps = self.dice.roll(3) > 0;
        // Some calls arrive late, after another one has raised the version further.
        let late = self.dice.roll(4) == 0 && self.raised_until[user].is_some_and(|until| self.now < until);
        let next = self.dice.token();
        let (name, version) = &mut self.users[user];
        *version += u64::from(!late);
        self.raised_until[user] = Some(self.now.plus(TOMBSTONE));
        let mut all = EndAll::new(
            name.clone(),
            *version - u64::from(late),
            Ended { at: self.now, reason: EndReason::PasswordChanged, keep_until: self.now.plus(TOMBSTONE) },
        );
        if keeps {
            all = all.keeping(Keep::new(id, next, IDLE, self.now));
        }
        for again in 0..=self.dice.roll(2) {
            let (ours, theirs) = (self.redis.end_all(&all).await.unwrap(), self.memory.end_all(&all).await.unwrap());
            assert_eq!(ours, theirs, "{what}: end_all, {again}");
            if let Some(kept) = ours {
                self.learn(&kept);
            }
        }
    }

    async fn look(&mut self, what: &str) {
        let since = self.now.minus(Duration::from_millis(self.dice.roll(1_200_000)));
        let listed = (self.redis.ended_since(since, self.now).await, self.memory.ended_since(since, self.now).await);
        let sorted = |mut listed: Vec<_>| {
            listed.sort_by_key(|revocation| format!("{revocation:?}"));
            listed
        };
        assert_eq!(sorted(listed.0.unwrap()), sorted(listed.1.unwrap()), "{what}: ended_since");
        for (user, _) in &self.users {
            let (ours, theirs) = (self.redis.list(user, self.now).await, self.memory.list(user, self.now).await);
            let sorted = |mut list: Vec<Session>| {
                list.sort_by_key(|session| session.id);
                list
            };
            assert_eq!(sorted(ours.unwrap()), sorted(theirs.unwrap()), "{what}: list");
        }
        for known in &self.known {
            let user = &self.users[known.user].0;
            let ours = self.redis.find(user, &known.id, self.now).await;
            assert_eq!(ours.unwrap(), self.memory.find(user, &known.id, self.now).await.unwrap(), "{what}: find");
        }
    }
}
