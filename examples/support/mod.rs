//! What every example does before it serves: it logs, creates an admin and listens.

use std::{env, error::Error, net::SocketAddr};

use portcullis::{Auth, AuthUser, ErrorKind, Registration, auth::ClientInfo, store::UserAdmin};
use tokio::net::TcpListener;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// Writes the log to the standard error output, so that only `listening on` is on the standard
/// output.
pub(crate) fn init_log() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::INFO).init();
}

/// Creates the admin of `ADMIN_EMAIL` and `ADMIN_PASSWORD`, unless they exist.
pub(crate) async fn seed_admin<U>(auth: &Auth<U>, store: &impl UserAdmin<User = U>) -> Result<(), BoxError>
where
    U: AuthUser<Registration: Default>,
{
    let (Ok(email), Ok(password)) = (env::var("ADMIN_EMAIL"), env::var("ADMIN_PASSWORD")) else { return Ok(()) };
    match auth.register(Registration::new(email, password, U::Registration::default()), &ClientInfo::unknown()).await {
        Ok(admin) => Ok(store.set_roles(&admin.id(), &["admin".to_owned()]).await.map(drop)?),
        Err(error) if error.kind() == ErrorKind::EmailTaken => Ok(()),
        Err(error) => Err(format!("ADMIN_EMAIL and ADMIN_PASSWORD make no user: {error} {:?}", error.fields()).into()),
    }
}

/// Listens on `ADDR` and prints where, with the real port.
pub(crate) async fn listen() -> Result<TcpListener, BoxError> {
    listen_on(addr()?).await
}

/// Returns the address of `ADDR`. Default: `127.0.0.1:3000`.
pub(crate) fn addr() -> Result<SocketAddr, BoxError> {
    let addr = env::var("ADDR").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    Ok(addr.parse().map_err(|_| format!("ADDR={addr} is not an address and a port, such as 127.0.0.1:3000"))?)
}

/// Listens on this address and prints it.
#[expect(clippy::print_stdout, reason = "scripts wait for this line")]
pub(crate) async fn listen_on(addr: SocketAddr) -> Result<TcpListener, BoxError> {
    let listener = TcpListener::bind(addr).await.map_err(|error| format!("cannot listen on ADDR={addr}: {error}"))?;
    println!("listening on http://{}", listener.local_addr()?);
    Ok(listener)
}
