#[async_trait]
impl UserStore for Accounts {
    type User = Account;

    async fn find_by_id(&self, id: &UserId) -> Result<Option<Account>, StoreError> {
        let Some(id) = id.to_key::<i64>() else { return Ok(None) };
        self.select("WHERE id = $1", [id.into()]).await
    }

    async fn find_by_login(&self, login: &Login) -> Result<Option<Account>, StoreError> {
        match login {
            Login::Email(email) => self.select("WHERE email_key = $1", [email.as_str().into()]).await,
            Login::Username(_) => Ok(None),
        }
    }

    async fn create(&self, new: NewUser<SignUp>) -> Result<Account, StoreError> {
        // The unique index on email_key decides. `insert` maps its violation to
        // StoreError::duplicate.
        let (email, key) = (new.email.as_str().into(), new.email.key().into());
        self.insert([email, key, new.password_hash().into(), new.registration.company.as_str().into()]).await
    }

    async fn replace_password_hash(&self, id: &UserId, old: &str, new: &PasswordHash) -> Result<bool, StoreError> {
        let args = [id.as_str().into(), old.into(), new.as_str().into()];
        Ok(self.update("SET password = $3 WHERE id = $1 AND password = $2", args).await?.is_some())
    }

    async fn set_password(&self, id: &UserId, old: Option<&str>, new: &PasswordHash) -> Result<Option<u64>, StoreError> {
        let args = [id.as_str().into(), old.into(), new.as_str().into()];
        // `old` is `None` if the user must not have a password yet.
        let set = "SET password = $3, version = version + 1 WHERE id = $1 AND password IS NOT DISTINCT FROM $2";
        self.update(set, args).await
    }

    async fn bump_token_version(&self, id: &UserId) -> Result<Option<u64>, StoreError> {
        self.update("SET version = version + 1 WHERE id = $1", [id.as_str().into()]).await
    }
}
