//! The tables of the design, row by row.

use portcullis::ErrorKind;

use super::{
    Branch, Context, Expect, LOST, Op,
    state::{Addition, Left, SKEW, Standing, State, Why},
};
use crate::token::{AccessToken, Forgery, RefreshToken};

/// Returns every way in which the operation can lead from this state. There is only one, except
/// where records may have been deleted.
pub(super) fn branches(state: &State, op: &Op<'_>, context: &Context<'_>, name: &str) -> Vec<Branch> {
    let user_state = |user: usize, standing| {
        let mut next = state.clone();
        next.users[user].standing = standing;
        vec![Branch::new(state, Expect::Done, next)]
    };
    match *op {
        Op::Login { disabled: true, .. } => refused(state, ErrorKind::InvalidCredentials),
        Op::Login { user, version, replaces, .. } => {
            // A token from the future belongs to no session.
            let replaces = replaces.filter(|token| token.issued <= context.now.plus(SKEW));
            let replaces = replaces.map(|token| token.sid.as_str());
            vec![login(state, Addition { name, user, version, replaces }, context)]
        }
        Op::LogIn { user, password } => {
            let known = &state.users[user];
            if known.standing != Standing::Active || known.password != password {
                return refused(state, ErrorKind::InvalidCredentials);
            }
            vec![login(state, Addition { name, user, version: known.version, replaces: None }, context)]
        }
        Op::Refresh { token, forgery } => refresh(state, token, forgery, context),
        Op::Use { token } => use_access(state, token, context),
        Op::Logout { refresh, access } => {
            let ours = |issued: portcullis::clock::Timestamp| issued <= context.now.plus(SKEW);
            let by_refresh = refresh
                .filter(|(token, forgery)| *forgery != Some(Forgery::Signature) && ours(token.issued))
                .map(|(token, _)| token.sid.as_str());
            let by_access = access.filter(|token| ours(token.issued)).map(|token| token.sid.as_str());
            vec![logout(state, by_refresh.or(by_access), context)]
        }
        Op::LogoutAll { user } => vec![logout_all(state, user, context)],
        Op::EndSession { sid } => end_session(state, sid, context),
        Op::ChangePassword { token, current, new } => {
            vec![change_password(state, token, (current, new), context, name)]
        }
        Op::Disable { user } if state.users[user].standing == Standing::Active => user_state(user, Standing::Disabled),
        Op::Enable { user } if state.users[user].standing == Standing::Disabled => user_state(user, Standing::Active),
        Op::Delete { user } => user_state(user, Standing::Deleted),
        Op::Disable { .. } | Op::Enable { .. } => vec![Branch::new(state, Expect::Done, state.clone())],
        Op::Poll => polled(state, context),
        Op::Restart => {
            let mut next = state.clone();
            next.nodes[context.node] =
                super::state::Node { started_at: Some(context.now), ..super::state::Node::default() };
            // A node reads the revocations before it serves.
            next.poll(context.node);
            vec![Branch::new(state, Expect::Done, next)]
        }
        Op::Find { sid } => found(state, sid, context),
        Op::List { user } => vec![Branch::new(state, listed(state, user, context), state.clone())],
    }
}

fn refused(state: &State, kind: ErrorKind) -> Vec<Branch> {
    vec![Branch::new(state, Expect::Refused(kind), state.clone())]
}

fn refresh(state: &State, token: &RefreshToken, forgery: Option<Forgery>, context: &Context<'_>) -> Vec<Branch> {
    let Context { settings, node, now, .. } = *context;
    if forgery == Some(Forgery::Signature) || token.issued > now.plus(SKEW) {
        return refused(state, ErrorKind::RefreshInvalid);
    }
    if now >= token.expires {
        return refused(state, ErrorKind::RefreshExpired);
    }
    let session = &state.sessions[&token.sid];
    let user = &state.users[session.user];
    let ended = |why, kind| {
        let mut next = state.clone();
        next.end(&token.sid, why, now);
        next.nodes[node].sessions.insert(token.sid.clone());
        vec![Branch::new(state, Expect::Refused(kind), next)]
    };
    if user.standing != Standing::Active {
        let left = Left::Session(token.sid.clone());
        let mut branches = ended(Why::Other, ErrorKind::RefreshInvalid);
        for branch in &mut branches {
            let written = branch.next.unheard_of(state);
            branch.stops = vec![state.clone(), state.leaving(node, &left), written.leaving(node, &left)];
        }
        return branches;
    }
    if session.gone || session.ended.is_none() && now >= session.expires() {
        return refused(state, ErrorKind::RefreshInvalid);
    }
    // After the clock was set back, the store may have deleted the record while it was expired.
    let mut branches = if session.may_be_gone_at(context.latest) { gone(state, token) } else { Vec::new() };
    let newest = session.newest();
    let behind = newest.checked_sub(token.generation);
    branches.extend(match (session.ended, behind) {
        (Some(Why::Reuse), _) => refused(state, ErrorKind::RefreshReused),
        (Some(Why::Other), _) => refused(state, ErrorKind::RefreshInvalid),
        (None, _) if session.version < user.version => outdated(state, &token.sid, context),
        // The generation does not exist yet, or the session never had the token id.
        (None, None) => refused(state, ErrorKind::RefreshInvalid),
        (None, Some(0 | 1)) if forgery.is_some() => refused(state, ErrorKind::RefreshInvalid),
        (None, Some(0)) => {
            let mut next = state.clone();
            next.advance(&token.sid, now, settings);
            vec![Branch::new(state, Expect::Next { sid: token.sid.clone() }, next)]
        }
        (None, Some(1)) if !settings.grace.is_zero() && now.since(session.rotated_at) <= settings.grace => {
            within_the_grace(state, &token.sid)
        }
        (None, Some(_)) => ended(Why::Reuse, ErrorKind::RefreshReused),
    });
    branches
}

/// The user's version was raised, and the sessions may not have been ended.
fn outdated(state: &State, sid: &str, context: &Context<'_>) -> Vec<Branch> {
    let Context { node, now, .. } = *context;
    let user = state.sessions[sid].user;
    let version = state.users[user].version;
    let mut one = state.clone();
    one.end(sid, Why::Other, now);
    let mut all = one.clone();
    all.announce(user, version, now);
    all.nodes[node].sessions.insert(sid.to_owned());
    all.nodes[node].raise(user, version);
    let refused = Expect::Refused(ErrorKind::RefreshInvalid);
    if !context.failed {
        return vec![Branch::new(state, refused, all)];
    }
    // The refusal does not wait for the rest.
    let later = one.leaving(node, &Left::All(user, version));
    [one, later, all].into_iter().map(|next| Branch::new(state, refused.clone(), next)).collect()
}

/// The grace accepts the direct predecessor for a second browser tab. It must not accept a token
/// from before a password change.
fn within_the_grace(state: &State, sid: &str) -> Vec<Branch> {
    let session = &state.sessions[sid];
    let same = || Branch::new(state, Expect::Same { sid: sid.to_owned() }, state.clone());
    // The records compare moments to find out whether the change made the newest generation. Within
    // one millisecond they cannot.
    let unclear = session
        .password_at
        .is_some_and(|at| if session.by_password { at == session.created_at } else { at == session.rotated_at });
    let mut branches = Vec::new();
    if session.by_password || unclear {
        branches.extend(refused(state, ErrorKind::RefreshInvalid));
    }
    if !session.by_password || unclear {
        branches.push(same());
    }
    branches
}

fn gone(state: &State, token: &RefreshToken) -> Vec<Branch> {
    let mut branches = refused(state, ErrorKind::RefreshInvalid);
    branches[0].next.sessions.get_mut(&token.sid).expect("it was just looked at").gone = true;
    branches
}

/// Returns every way in which the node may have written what it left. In each, the node then reads
/// every revocation.
fn polled(state: &State, context: &Context<'_>) -> Vec<Branch> {
    let ways = state.bring(context.node, context.now, context.failed);
    let stops = ways.clone();
    let polled = ways.into_iter().map(|mut next| {
        next.poll(context.node);
        Branch { expect: Expect::Done, next, stops: stops.clone() }
    });
    polled.collect()
}

fn use_access(state: &State, token: &AccessToken, context: &Context<'_>) -> Vec<Branch> {
    if token.issued > context.now.plus(SKEW) {
        return refused(state, ErrorKind::TokenInvalid);
    }
    if context.now >= token.expires {
        return refused(state, ErrorKind::TokenExpired);
    }
    vec![Branch::new(state, admitted(state, token, context.node), state.clone())]
}

fn admitted(state: &State, token: &AccessToken, node: usize) -> Expect {
    let session = &state.sessions[&token.sid];
    let user = &state.users[session.user];
    let node = &state.nodes[node];
    let surely_ended = node.has_ended(&token.sid, session.user, token.version);
    // A node may know sooner than it must.
    let perhaps_ended = session.ended.is_some()
        || token.version < user.version
        || user.standing == Standing::Deleted
        || node.doubts.contains(&token.sid);
    match (surely_ended, perhaps_ended) {
        (true, _) => Expect::Refused(ErrorKind::TokenRevoked),
        (false, true) => Expect::Either,
        (false, false) => Expect::Done,
    }
}

fn logout(state: &State, sid: Option<&str>, context: &Context<'_>) -> Branch {
    let mut next = state.clone();
    if let Some(sid) = sid {
        next.end(sid, Why::Other, context.now);
        next.nodes[context.node].sessions.insert(sid.to_owned());
    }
    let mut branch = Branch::new(state, Expect::Done, next);
    if let Some(sid) = sid {
        let left = Left::Session(sid.to_owned());
        branch.stops.iter_mut().for_each(|stop| *stop = stop.leaving(context.node, &left));
    }
    branch
}

fn logout_all(state: &State, user: usize, context: &Context<'_>) -> Branch {
    let mut raised = state.clone();
    let min_version = if state.users[user].standing == Standing::Deleted {
        // There is no version to raise, and no version is valid any more.
        u64::MAX
    } else {
        raised.raise_version(user);
        raised.users[user].version
    };
    let mut next = raised.clone();
    next.announce(user, min_version, context.now);
    next.nodes[context.node].raise(user, min_version);
    let left = Left::All(user, min_version);
    let written = next.unheard_of(state);
    let stops =
        vec![state.clone(), raised.clone(), raised.leaving(context.node, &left), written.leaving(context.node, &left)];
    Branch { expect: Expect::Done, next, stops }
}

fn end_session(state: &State, sid: &str, context: &Context<'_>) -> Vec<Branch> {
    let session = &state.sessions[sid];
    if !session.is_live(context.now) {
        let mut branches = refused(state, ErrorKind::SessionNotFound);
        // An end at this very moment may count as its own: after a failure, when the call is
        // repeated, and when another process made the same call. One process distinguishes its own
        // ends of one moment.
        let process_is_new = state.nodes[context.node].started_at == Some(context.now);
        let by_another = session.ended_on.is_some_and(|node| node != context.node || process_is_new);
        if (context.failed || by_another) && session.ended_at == Some(context.now) {
            let mut next = state.clone();
            next.nodes[context.node].sessions.insert(sid.to_owned());
            branches.push(Branch::new(state, Expect::Done, next));
        }
        return branches;
    }
    let mut branches =
        if session.may_be_gone_at(context.latest) { refused(state, ErrorKind::SessionNotFound) } else { Vec::new() };
    let mut next = state.clone();
    next.end(sid, Why::Other, context.now);
    if let Some(session) = next.sessions.get_mut(sid) {
        session.ended_on = Some(context.node);
    }
    next.nodes[context.node].sessions.insert(sid.to_owned());
    let mut branch = Branch::new(state, Expect::Done, next);
    let left = Left::Session(sid.to_owned());
    branch.stops.iter_mut().for_each(|stop| *stop = stop.leaving(context.node, &left));
    branches.push(branch);
    branches
}

fn login(state: &State, new: Addition<'_>, context: &Context<'_>) -> Branch {
    let mut next = state.clone();
    match next.add(new, context.now, context.settings) {
        None => Branch::new(state, Expect::Refused(ErrorKind::TooManySessions), next),
        Some(ended) => {
            next.nodes[context.node].sessions.extend(ended);
            Branch::new(state, Expect::First { name: new.name.to_owned() }, next)
        }
    }
}

fn change_password(
    state: &State,
    token: &AccessToken,
    (current, new): (u32, u32),
    context: &Context<'_>,
    name: &str,
) -> Branch {
    let Context { settings, node, now, .. } = *context;
    let session = &state.sessions[&token.sid];
    let (number, user) = (session.user, &state.users[session.user]);
    if user.standing != Standing::Active || user.version != token.version {
        return Branch::new(state, Expect::Refused(ErrorKind::TokenRevoked), state.clone());
    }
    if user.password != current {
        return Branch::new(state, Expect::Refused(ErrorKind::WrongPassword), state.clone());
    }
    let mut raised = state.clone();
    raised.raise_version(number);
    raised.users[number].password = new;
    let version = raised.users[number].version;
    let left = Left::All(number, version);
    let is_live = session.is_live(now);
    let mut ended = raised.clone();
    ended.end_all(number, version, Some(&token.sid), now);
    ended.announce_min_version(number, version);
    if is_live {
        ended.restamp(&token.sid, version, now, settings);
    }
    let mut stops = vec![state.clone(), raised.clone(), raised.leaving(node, &left), ended.leaving(node, &left)];
    let mut next = ended.clone();
    next.nodes[node].raise(number, version);
    if is_live {
        return Branch { expect: Expect::Next { sid: token.sid.clone() }, next, stops };
    }
    // The session ended in the meantime. The password was correct, so there is a new session.
    let branch = login(&next, Addition { name, user: number, version, replaces: None }, context);
    stops.extend([ended, branch.next.unheard_of(state)]);
    Branch { stops, ..branch }
}

fn listed(state: &State, user: usize, context: &Context<'_>) -> Expect {
    let (mut surely, mut perhaps) = (Vec::new(), Vec::new());
    let live = state
        .sessions
        .iter()
        .filter(|(name, session)| session.user == user && session.is_live(context.now) && !name.starts_with(LOST));
    for (sid, session) in live {
        // A session of a lower version is ended at once. A store may list it until its token is
        // presented.
        let is_outdated = session.version < state.users[user].version;
        if is_outdated || session.may_be_gone_at(context.latest) { &mut perhaps } else { &mut surely }
            .push(sid.clone());
    }
    Expect::Listed { surely, perhaps }
}

/// An expired record counts as absent before it is deleted.
fn found(state: &State, sid: &str, context: &Context<'_>) -> Vec<Branch> {
    let session = &state.sessions[sid];
    let is_expired = context.now >= session.expires();
    let absent = || refused(state, ErrorKind::SessionNotFound);
    let present = || vec![Branch::new(state, Expect::Done, state.clone())];
    match session.ended {
        None if session.gone || is_expired => absent(),
        None | Some(Why::Reuse) if !session.may_be_gone_at(context.latest) => present(),
        // How long a tombstone stays matters only to the nodes.
        _ => [present(), absent()].concat(),
    }
}
