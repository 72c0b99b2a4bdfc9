//! The administration of members, for the app's admin pages.

use async_trait::async_trait;
use portcullis::{
    store::{PageLimit, StoreError, UserAdmin, UserPage},
    user::UserId,
};
use sqlx::query;

use crate::members::{Member, Members, columns, returning};

#[async_trait]
impl UserAdmin for Members {
    /// The table has room for one role: a member is staff, or not.
    async fn set_roles(&self, id: &UserId, roles: &[String]) -> Result<bool, StoreError> {
        let is_staff = match roles {
            [] => false,
            [role] if role == "admin" => true,
            _ => return Err(StoreError::internal("a member has the role `admin` or none")),
        };
        let update = concat!("UPDATE members SET is_staff = $2 WHERE member_id = $1 ", returning!());
        Ok(self.one(|| query(update).bind(id.to_key::<i64>()).bind(is_staff)).await?.is_some())
    }

    async fn set_disabled(&self, id: &UserId, disabled: bool) -> Result<bool, StoreError> {
        let update = concat!("UPDATE members SET banned = $2 WHERE member_id = $1 ", returning!());
        Ok(self.one(|| query(update).bind(id.to_key::<i64>()).bind(disabled)).await?.is_some())
    }

    async fn remove_user(&self, id: &UserId) -> Result<bool, StoreError> {
        let delete = concat!("DELETE FROM members WHERE member_id = $1 ", returning!());
        Ok(self.one(|| query(delete).bind(id.to_key::<i64>())).await?.is_some())
    }

    async fn list_users(&self, after: Option<&UserId>, limit: PageLimit) -> Result<UserPage<Member>, StoreError> {
        // The first id is 1. No member follows an id that is not a number: it becomes NULL, and
        // nothing is greater than NULL.
        let after = after.map_or(Some(0), UserId::to_key::<i64>);
        let count = i64::try_from(limit.get() + 1).map_err(StoreError::internal)?;
        let select = concat!("SELECT ", columns!(), " FROM members WHERE member_id > $1 ORDER BY member_id LIMIT $2");
        Ok(UserPage::new(self.all(|| query(select).bind(after).bind(count)).await?, limit))
    }
}
