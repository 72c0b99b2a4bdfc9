//! Settings of the throttle: what slows guesses, and by which address they are counted.

use std::sync::Arc;

use super::{
    AuthBuilder,
    env::{Environment, parse_switch},
};
use crate::{
    throttle::{MemoryThrottle, Throttle},
    user::AuthUser,
};

/// Rows of the table of variables.
macro_rules! variables {
    () => {
        "| `THROTTLE` | `on` | `off` for load tests: guesses are not slowed |
| `TRUSTED_PROXY_HOPS` | `0` | proxies of your own |"
    };
}
pub(super) use variables;

/// Settings of the throttle.
///
/// # Defaults
/// - throttle: a [`MemoryThrottle`]
/// - trusted proxy hops: 0
pub(super) struct ThrottleSettings {
    is_on: bool,
    throttle: Option<Arc<dyn Throttle>>,
    trusted_proxy_hops: usize,
}

impl Default for ThrottleSettings {
    fn default() -> Self {
        Self { is_on: true, throttle: None, trusted_proxy_hops: 0 }
    }
}

impl<U: AuthUser> AuthBuilder<U> {
    /// Sets the throttle, which slows guesses. Default: a [`MemoryThrottle`], which counts on this
    /// node only. `RedisThrottle` (feature `redis_1`) counts for all nodes together.
    ///
    /// [`no_throttle`](Self::no_throttle) and `THROTTLE=off` turn this one off as well.
    pub fn throttle(mut self, throttle: impl Throttle) -> Self {
        self.throttle.throttle = Some(Arc::new(throttle));
        self
    }

    /// Turns the throttle off, for load tests, or where a proxy slows guesses. A warning is logged.
    ///
    /// Variable: `THROTTLE`, `off`.
    pub fn no_throttle(mut self) -> Self {
        self.throttle.is_on = false;
        self
    }

    /// Sets how many proxies of your own stand before this service. Each of them must append to
    /// `X-Forwarded-For`. Default: 0.
    ///
    /// Behind a proxy, guesses can be counted by address only with this setting.
    ///
    /// Variable: `TRUSTED_PROXY_HOPS`.
    pub fn trusted_proxy_hops(mut self, hops: usize) -> Self {
        self.throttle.trusted_proxy_hops = hops;
        self
    }
}

impl ThrottleSettings {
    pub(super) fn read(&mut self, env: &mut Environment<'_>) {
        self.is_on = env.parsed("THROTTLE", "use on, or off for load tests", parse_switch).unwrap_or(true);
        self.trusted_proxy_hops =
            env.parsed("TRUSTED_PROXY_HOPS", "use a number", |text| text.parse().ok()).unwrap_or(0);
    }

    /// Turns the throttle off unless the app set one of its own, which it wants to test.
    #[cfg(feature = "testing")]
    pub(super) fn for_tests(&mut self) {
        self.is_on = self.throttle.is_some();
    }

    pub(super) fn trusted_proxy_hops(&self) -> usize {
        self.trusted_proxy_hops
    }

    pub(super) fn into_throttle(self) -> Option<Arc<dyn Throttle>> {
        if !self.is_on {
            tracing::warn!(target: "portcullis", "the throttle is off (THROTTLE): guesses at passwords are not slowed");
            return None;
        }
        if self.trusted_proxy_hops == 0 {
            tracing::info!(
                target: "portcullis",
                "no proxy is trusted (TRUSTED_PROXY_HOPS): guesses are counted by the address of the connection, and by \
                 login alone where that address is private"
            );
        }
        Some(self.throttle.unwrap_or_else(|| Arc::new(MemoryThrottle::new())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::env::read_pairs;

    #[test]
    fn variables_reach_their_settings() {
        let mut settings = ThrottleSettings::default();
        let pairs = [("THROTTLE", "off"), ("TRUSTED_PROXY_HOPS", "2")];
        assert_eq!(read_pairs(&pairs, |env| settings.read(env)), Vec::<String>::new());
        assert!(!settings.is_on);
        assert_eq!(settings.trusted_proxy_hops, 2);
    }
}
