//! The store: all that the table needs to take part.

use async_trait::async_trait;
use portcullis::{
    AuthUser, NewUser, UserId,
    store::{StoreError, UserStore},
    user::{Login, PasswordHash},
};
use sqlx::query;

use crate::members::{Joining, Member, Members};

#[async_trait]
impl UserStore for Members {
    type User = Member;

    async fn find_by_id(&self, id: &UserId) -> Result<Option<Member>, StoreError> {
        let Some(id) = id.parse::<i64>() else { return Ok(None) };
        self.one(query("SELECT * FROM members WHERE member_id = $1").bind(id)).await
    }

    async fn find_by_login(&self, login: &Login) -> Result<Option<Member>, StoreError> {
        let Login::Email(key) = login else { return Ok(None) };
        self.one(query("SELECT * FROM members WHERE mail_key = $1").bind(key.as_str())).await
    }

    async fn create(&self, new: NewUser<Joining>) -> Result<Member, StoreError> {
        let insert = "INSERT INTO members (mail, mail_key, pw, full_name) VALUES ($1, $2, $3, $4) RETURNING *";
        let insert = query(insert).bind(new.email.as_str()).bind(new.email.key()).bind(new.password_hash.as_str());
        let added = self.one(insert.bind(new.registration.full_name)).await?;
        added.ok_or_else(|| StoreError::internal("the new member is not there"))
    }

    async fn replace_password_hash(&self, id: &UserId, old: &str, new: &PasswordHash) -> Result<bool, StoreError> {
        let update = query("UPDATE members SET pw = $3 WHERE member_id = $1 AND pw = $2 RETURNING *");
        Ok(self.one(update.bind(id.parse::<i64>()).bind(old).bind(new.as_str())).await?.is_some())
    }

    async fn set_password(&self, id: &UserId, old: &str, new: &PasswordHash) -> Result<Option<u64>, StoreError> {
        let update = "UPDATE members SET pw = $3, token_version = token_version + 1 \
                      WHERE member_id = $1 AND pw = $2 RETURNING *";
        let changed = self.one(query(update).bind(id.parse::<i64>()).bind(old).bind(new.as_str())).await?;
        Ok(changed.map(|member| member.token_version()))
    }

    async fn bump_token_version(&self, id: &UserId) -> Result<Option<u64>, StoreError> {
        let update = "UPDATE members SET token_version = token_version + 1 WHERE member_id = $1 RETURNING *";
        Ok(self.one(query(update).bind(id.parse::<i64>())).await?.map(|member| member.token_version()))
    }
}
