//! Waits until tokens become invalid, beside the requests that present them. Both must agree.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use portcullis::{Auth, Claims, ErrorKind, User};

/// One wait for each token that was accepted on a node, until it is refused there.
#[derive(Default)]
pub(super) struct Waits(Vec<Wait>);

struct Wait {
    node: usize,
    token: String,
    over: Pin<Box<dyn Future<Output = ErrorKind>>>,
}

impl Waits {
    /// Continues the wait for a token that was accepted.
    pub(super) fn passed(
        &mut self,
        node: usize,
        token: &str,
        auth: &Auth<User>,
        claims: &Claims,
    ) -> Result<(), String> {
        if !self.0.iter().any(|wait| wait.is_for(node, token)) {
            self.0.push(Wait { node, token: token.to_owned(), over: Box::pin(auth.until_ended(claims)) });
        }
        let mut waits = self.0.iter_mut().filter(|wait| wait.is_for(node, token));
        match waits.find_map(Wait::look) {
            Some(why) => Err(format!("a token passes whose wait is over: {why:?}")),
            None => Ok(()),
        }
    }

    /// Checks that the wait for a refused token was woken up. Without a wake-up, an executor would
    /// never poll the wait.
    pub(super) fn refused(&mut self, node: usize, token: &str) -> Result<(), String> {
        for mut wait in self.0.extract_if(.., |wait| wait.is_for(node, token)) {
            match wait.look() {
                Some(ErrorKind::TokenRevoked) => {}
                other => return Err(format!("a token is refused as revoked, its wait says {other:?}")),
            }
        }
        Ok(())
    }

    /// Removes the waits of a node that was replaced.
    pub(super) fn forget(&mut self, node: usize) {
        self.0.retain(|wait| wait.node != node);
    }
}

impl Wait {
    fn is_for(&self, node: usize, token: &str) -> bool {
        self.node == node && self.token == token
    }

    fn look(&mut self) -> Option<ErrorKind> {
        match self.over.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(why) => Some(why),
            Poll::Pending => None,
        }
    }
}
