//! Logging in where a test needs a session, and not what a login leads to.

use portcullis::{
    Auth, AuthUser, Error,
    auth::{ClientInfo, LoggedIn, TokenPair},
    user::Login,
};

/// Logs a user in without a password, and returns the tokens of the session.
#[allow(dead_code, reason = "not every suite uses it")]
pub(crate) async fn session_of<U: AuthUser>(auth: &Auth<U>, user: &U) -> TokenPair {
    auth.start_session(user, &ClientInfo::unknown()).await.unwrap().into_logged_in().unwrap().tokens
}

/// Logs in with an e-mail address or a username, and a password.
#[allow(dead_code, reason = "not every suite uses it")]
pub(crate) async fn log_in<U: AuthUser>(auth: &Auth<U>, login: &str, password: &str) -> Result<LoggedIn<U>, Error> {
    let outcome = auth.login(&Login::either(login), password.into(), &ClientInfo::unknown()).await?;
    Ok(outcome.into_logged_in().unwrap())
}
