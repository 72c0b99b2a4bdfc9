//! [`AuthBuilder`]: every setting, its default, and one `build()` that checks them together.
//!
//! Each file is one concept. It holds the settings, their defaults, their environment variables,
//! their rules, the methods of [`AuthBuilder`] that set them, and their conversion to what
//! [`Auth`](crate::Auth) needs. A new setting touches that file only. [`env`] knows how variables
//! are written and none of their names.

mod auth_builder;
mod cookies;
mod cross_site;
mod endpoints;
mod env;
mod events;
mod keys;
mod passwords;
mod revocation;
mod sessions;
#[cfg(feature = "testing")]
mod testing;
mod throttle;
mod tokens;

pub use self::auth_builder::AuthBuilder;

#[cfg(test)]
mod tests;
