//! Users: what this crate reads of an app's user ([`AuthUser`]), the ready [`User`], and a
//! registration to store ([`NewUser`]).

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
