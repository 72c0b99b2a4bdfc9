//! A thief has a copy of a victim's refresh token. This runs every order in which the two can use
//! it, and shows what each gets.

use std::{fmt::Write, time::Duration};

use portcullis::{
    Auth, ErrorKind, User,
    auth::{Check, ClientInfo, LoggedIn},
};

use crate::{
    StoreFactory,
    run::block_on,
    settings::Settings,
    token::{AccessToken, Pair, RefreshToken},
    world::World,
};

/// What each of the two does, in this order.
const SCRIPT: [Step; 3] = [Step::Refresh, Step::Refresh, Step::Use];
const GRACE: Duration = Duration::from_secs(10);
/// A millisecond longer than the grace.
const AFTER: Duration = Duration::from_millis(10_001);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Refresh,
    /// Presents an access token.
    Use,
}

/// How much time passes between the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Everything happens in the same moment.
    WithinTheGrace,
    /// The grace passes between every two steps.
    AfterTheGrace,
}

/// One order of the steps, and the results.
struct Row {
    order: String,
    /// What the victim and the thief got.
    got: [Vec<&'static str>; 2],
    /// What they get afterwards, in turns, with the grace passing in between.
    later: [Vec<&'static str>; 2],
}

/// Runs every order. Returns a table with a line for each.
///
/// The letters of an order are the steps of the victim (`v`) and of the thief (`t`). A refresh gets
/// `new` tokens, the `same` tokens that the other one has, or `REUSED`, which ends the session. An
/// access token is `ok` or `over`.
///
/// # Errors
/// Returns an order in which both can refresh for ever, or in which there are two chains of tokens.
///
/// # Panics
/// Panics where there is no memory for the table.
pub fn table(factory: &dyn StoreFactory, pace: Pace) -> Result<String, String> {
    let mut table =
        String::from("order  | victim             | thief              | victim later       | thief later\n");
    for order in orders(SCRIPT.len(), SCRIPT.len()) {
        let row = block_on(play(factory, pace, order))?;
        let [victim, thief] = row.got.map(|got| got.join(" "));
        let [victim_later, thief_later] = row.later.map(|later| later.join(" "));
        let line = writeln!(table, "{} | {victim:18} | {thief:18} | {victim_later:18} | {thief_later}", row.order);
        line.expect("a string takes text");
    }
    Ok(table)
}

/// Returns every order of so many steps of the victim and so many steps of the thief.
fn orders(victim: usize, thief: usize) -> Vec<String> {
    if victim == 0 || thief == 0 {
        return vec!["v".repeat(victim) + &"t".repeat(thief)];
    }
    let first = |who: &'static str, rest: Vec<String>| rest.into_iter().map(move |order| format!("{who}{order}"));
    let mut all: Vec<_> = first("v", orders(victim - 1, thief)).collect();
    all.extend(first("t", orders(victim, thief - 1)));
    all
}

/// The victim or the thief.
struct Holder {
    refresh: RefreshToken,
    access: Option<AccessToken>,
    steps: usize,
}

/// Returns whether two copies are of one token. Only their dates may differ.
fn are_one(one: &RefreshToken, other: &RefreshToken) -> bool {
    (one.generation, &one.jti) == (other.generation, &other.jti)
}

async fn play(factory: &dyn StoreFactory, pace: Pace, order: String) -> Result<Row, String> {
    let world = World::open(factory, Settings::with_grace(GRACE), 1, 1).await;
    let auth = &world.nodes[0];
    let user = world.user(0).await.expect("the victim");
    let first = auth.start_session(&user, &ClientInfo::unknown()).await.map_err(|error| format!("{error:?}"))?;
    let first = Pair::of(&first.into_logged_in().unwrap().tokens).refresh;
    let mut holders = [(); 2].map(|()| Holder { refresh: first.clone(), access: None, steps: 0 });
    let mut row = Row { order: order.clone(), got: Default::default(), later: Default::default() };
    // The current generation, as far as the answers show.
    let mut newest = first;
    for who in order.chars().map(|letter| usize::from(letter == 't')) {
        if pace == Pace::AfterTheGrace {
            world.clock.advance(AFTER);
        }
        let step = SCRIPT[holders[who].steps];
        holders[who].steps += 1;
        let got = act(auth, &mut holders[who], step, &mut newest).await?;
        row.got[who].push(got);
    }
    for who in [0, 1, 0, 1] {
        world.clock.advance(AFTER);
        let got = act(auth, &mut holders[who], Step::Refresh, &mut newest).await?;
        row.later[who].push(got);
    }
    let found_out = row.later.iter().all(|later| later.last() == Some(&"REUSED"));
    if found_out { Ok(row) } else { Err(format!("{order}: both go on: {:?}", row.later)) }
}

async fn act(
    auth: &Auth<User>,
    holder: &mut Holder,
    step: Step,
    newest: &mut RefreshToken,
) -> Result<&'static str, String> {
    if step == Step::Use {
        let Some(access) = &holder.access else { return Ok("-") };
        return match auth.authenticate(&access.text, Check::Stateless).await.map_err(|error| error.kind()) {
            Ok(_) => Ok("ok"),
            Err(ErrorKind::TokenRevoked) => Ok("over"),
            Err(kind) => Err(format!("an access token is refused as {kind:?}")),
        };
    }
    match auth.refresh(&holder.refresh.text, &ClientInfo::unknown()).await.map_err(|error| error.kind()) {
        Ok(LoggedIn { tokens, .. }) => {
            let Pair { refresh, access } = Pair::of(&tokens);
            let had_newest = are_one(&holder.refresh, newest);
            if had_newest {
                newest.clone_from(&refresh);
            } else if !are_one(&refresh, newest) {
                return Err("a second chain lives".to_owned());
            }
            holder.refresh = refresh;
            holder.access = Some(access);
            Ok(if had_newest { "new" } else { "same" })
        }
        Err(ErrorKind::RefreshReused) => Ok("REUSED"),
        Err(kind) => Err(format!("a refresh token is refused as {kind:?}")),
    }
}
