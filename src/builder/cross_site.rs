//! Settings of the cross-site check: which origins may send requests with cookies.

use super::{
    AuthBuilder,
    env::{Environment, items},
};
use crate::{
    http::request::{cross_site::CrossSite, origin::TrustedOrigin},
    user::AuthUser,
};

/// Rows of the table of variables.
macro_rules! variables {
    () => {
        "| `TRUSTED_ORIGINS` | none | other origins whose pages may send cookies; separated by `,` |"
    };
}
pub(super) use variables;

/// Origins whose pages may send requests with cookies.
///
/// # Defaults
/// - trusted origins: none beside the service's own
/// - strict: off
#[derive(Debug, Default)]
pub(super) struct CrossSiteSettings {
    trusted_origins: Vec<String>,
    strict: bool,
}

impl<U: AuthUser> AuthBuilder<U> {
    /// Adds an origin whose pages may send requests with cookies, such as
    /// `https://app.example.com`. Default: none.
    ///
    /// Origins are compared whole: scheme, host and port. There are no wildcards. An app in a web
    /// view and an extension of a browser have origins too, such as `capacitor://localhost`,
    /// `ionic://localhost`, `tauri://localhost` and `chrome-extension://<id>`. The opaque origin
    /// `null` is never trusted.
    ///
    /// Variable: `TRUSTED_ORIGINS`.
    pub fn trusted_origin(mut self, origin: impl Into<String>) -> Self {
        self.cross_site.trusted_origins.push(origin.into());
        self
    }

    /// Refuses requests with cookies that have neither `Origin` nor `Sec-Fetch-Site`. Default:
    /// accepts them, because only programs and very old browsers send such requests.
    pub fn strict_cross_site(mut self) -> Self {
        self.cross_site.strict = true;
        self
    }
}

impl CrossSiteSettings {
    pub(super) fn read(&mut self, env: &mut Environment<'_>) {
        let list = env.text("TRUSTED_ORIGINS");
        self.trusted_origins = list.map_or_else(Vec::new, |text| items(&text).map(Into::into).collect());
    }

    /// `insecure` says that cookies are sent over plain HTTP.
    pub(super) fn check(&self, insecure: bool, problems: &mut Vec<String>) -> CrossSite {
        let mut trusted = Vec::new();
        for text in &self.trusted_origins {
            match TrustedOrigin::from_setting(text) {
                Ok(origin) => trusted.push(origin),
                Err(why) => problems.push(format!("the trusted origin {text:?} (TRUSTED_ORIGINS) {why}")),
            }
        }
        CrossSite { trusted, strict: self.strict, insecure }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::env::read_pairs;

    #[test]
    fn variables_reach_their_settings() {
        let mut settings = CrossSiteSettings::default();
        let pairs = [("TRUSTED_ORIGINS", "https://a.example ,\thttps://b.example\n")];
        assert_eq!(read_pairs(&pairs, |env| settings.read(env)), Vec::<String>::new());
        assert_eq!(settings.trusted_origins, ["https://a.example", "https://b.example"]);
    }
}
