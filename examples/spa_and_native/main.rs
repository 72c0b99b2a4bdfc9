//! One service for a page and for programs: the browser keeps its tokens in cookies, a command line
//! in a file.
//!
//! ```sh
//! cargo run --example spa_and_native --features client
//! cargo run --example spa_and_native --features client -- register ada@example.com
//! cargo run --example spa_and_native --features client -- whoami
//! ```

#[path = "../support/axum_app.rs"]
mod axum_app;
mod command_line;
mod state_file;
#[path = "../support/mod.rs"]
mod support;

use std::{env, net::SocketAddr, process::ExitCode};

use portcullis::{AuthBuilder, http::Delivery, store::memory::MemoryStore};
use support::BoxError;

#[tokio::main]
#[expect(clippy::print_stderr, reason = "it is a command line")]
async fn main() -> ExitCode {
    let mut arguments = env::args().skip(1).peekable();
    let done = match arguments.peek().map(String::as_str) {
        None | Some("serve") => serve().await,
        Some(_) => command_line::run(arguments).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            for cause in std::iter::successors(error.source(), |error| error.source()) {
                eprintln!("  because {cause}");
            }
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<(), BoxError> {
    support::init_log();
    let store = MemoryStore::new();
    let mut builder = AuthBuilder::from_env_or_ephemeral(store.clone(), store.clone())?;
    if env::var_os("TOKEN_DELIVERY").is_none() {
        // Cookies are the default, for the page. The command line asks for `body`.
        builder = builder.token_delivery([Delivery::Cookie, Delivery::Body]);
    }
    let auth = builder.build()?;
    support::seed_admin(&auth, &store).await?;

    let listener = support::listen().await?;
    let app = axum_app::router(auth, store).into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, app).await?)
}
