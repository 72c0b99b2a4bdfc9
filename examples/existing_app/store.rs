//! The store: all that the table needs to take part.

use async_trait::async_trait;
use portcullis::{
    AuthUser,
    store::{StoreError, UserStore},
    user::{Login, NewUser, PasswordHash, UserId},
};
use sqlx::query;

use crate::members::{Joining, Member, Members, columns, raise_version, returning};

#[async_trait]
impl UserStore for Members {
    type User = Member;

    async fn find_by_id(&self, id: &UserId) -> Result<Option<Member>, StoreError> {
        let Some(id) = id.to_key::<i64>() else { return Ok(None) };
        let find = concat!("SELECT ", columns!(), " FROM members WHERE member_id = $1");
        self.one(|| query(find).bind(id)).await
    }

    async fn find_by_login(&self, login: &Login) -> Result<Option<Member>, StoreError> {
        let Login::Email(key) = login else { return Ok(None) };
        let find = concat!("SELECT ", columns!(), " FROM members WHERE mail_key = $1");
        self.one(|| query(find).bind(key.as_str())).await
    }

    async fn create(&self, new: NewUser<Joining>) -> Result<Member, StoreError> {
        let (mail, hash, name) = (&new.email, new.password_hash(), new.registration.full_name.as_str());
        let into =
            concat!("INSERT INTO members (mail, mail_key, pw, full_name) VALUES ($1, $2, $3, $4) ", returning!());
        let added = self.one(|| query(into).bind(mail.as_str()).bind(mail.key()).bind(hash).bind(name)).await?;
        added.ok_or_else(|| StoreError::internal("the new member is not there"))
    }

    async fn replace_password_hash(&self, id: &UserId, old: &str, new: &PasswordHash) -> Result<bool, StoreError> {
        let update = concat!("UPDATE members SET pw = $3 WHERE member_id = $1 AND pw = $2 ", returning!());
        Ok(self.one(|| query(update).bind(id.to_key::<i64>()).bind(old).bind(new.as_str())).await?.is_some())
    }

    async fn set_password(&self, id: &UserId, old: Option<&str>, pw: &PasswordHash) -> Result<Option<u64>, StoreError> {
        let set = concat!(raise_version!(), ", pw = $3 WHERE member_id = $1 AND pw IS $2 ", returning!());
        let changed = self.one(|| query(set).bind(id.to_key::<i64>()).bind(old).bind(pw.as_str())).await?;
        Ok(changed.map(|member| member.token_version()))
    }

    async fn bump_token_version(&self, id: &UserId) -> Result<Option<u64>, StoreError> {
        let bump = concat!(raise_version!(), " WHERE member_id = $1 ", returning!());
        Ok(self.one(|| query(bump).bind(id.to_key::<i64>())).await?.map(|member| member.token_version()))
    }
}
