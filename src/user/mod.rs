//! Users: what this crate needs of an app's own ([`AuthUser`]), the ready [`User`], and what a
//! registration brings ([`NewUser`]).

mod auth_user;
mod id;
mod identifier;
mod key;
mod new_user;
mod password_hash;
mod user;

pub use self::{
    auth_user::AuthUser,
    id::UserId,
    identifier::{Email, Login, Username},
    key::LoginKey,
    new_user::NewUser,
    password_hash::PasswordHash,
    user::{Profile, PublicUser, User},
};
