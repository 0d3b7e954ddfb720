//! People and sessions in SQLite.

use async_trait::async_trait;
use nightjar_schema::Timestamp;
use sqlx::Row;

use super::SqliteStore;
use crate::store::{Account, Accounts, SessionLimits, SignedIn, StoreError};
use crate::token::TokenHash;

#[async_trait]
impl Accounts for SqliteStore {
    async fn add_account(
        &self,
        username: &str,
        role: &str,
        password: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "INSERT INTO accounts (username, role, password, created_at) VALUES (?, ?, ?, ?)
                   ON CONFLICT (username) DO NOTHING";
        let query = sqlx::query(sql).bind(username).bind(role).bind(password).bind(now.0);
        Ok(query.execute(&self.writer).await?.rows_affected() == 1)
    }

    async fn account(&self, username: &str) -> Result<Option<Account>, StoreError> {
        let sql = "SELECT id, username, role, password FROM accounts WHERE username = ?";
        let row = sqlx::query(sql).bind(username).fetch_optional(&self.readers).await?;
        row.map(|row| {
            Ok(Account {
                id: row.try_get("id")?,
                username: row.try_get("username")?,
                role: row.try_get("role")?,
                password: row.try_get("password")?,
            })
        })
        .transpose()
    }

    async fn set_password(&self, username: &str, password: &str) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let sql = "UPDATE accounts SET password = ? WHERE username = ? RETURNING id";
        let id: Option<i64> =
            sqlx::query_scalar(sql).bind(password).bind(username).fetch_optional(&mut *tx).await?;
        if let Some(id) = id {
            sqlx::query("DELETE FROM sessions WHERE account = ?").bind(id).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(id.is_some())
    }

    async fn open_session(
        &self,
        token: TokenHash,
        account: i64,
        now: Timestamp,
        limits: SessionLimits,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let over = "DELETE FROM sessions WHERE opened_at < ? OR used_at < ?";
        sqlx::query(over).bind(limits.opened_after.0).bind(limits.used_after.0).execute(&mut *tx).await?;
        let open = "INSERT INTO sessions (token, account, opened_at, used_at) VALUES (?, ?, ?, ?)";
        let query = sqlx::query(open).bind(token.0.as_slice()).bind(account).bind(now.0).bind(now.0);
        query.execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn session(&self, token: TokenHash, limits: SessionLimits) -> Result<Option<SignedIn>, StoreError> {
        let sql =
            "SELECT a.id, a.username, a.role, s.used_at FROM sessions s JOIN accounts a ON a.id = s.account
                   WHERE s.token = ? AND s.opened_at >= ? AND s.used_at >= ?";
        let query =
            sqlx::query(sql).bind(token.0.as_slice()).bind(limits.opened_after.0).bind(limits.used_after.0);
        let row = query.fetch_optional(&self.readers).await?;
        row.map(|row| {
            Ok(SignedIn {
                account: row.try_get("id")?,
                username: row.try_get("username")?,
                role: row.try_get("role")?,
                used_at: Timestamp(row.try_get("used_at")?),
            })
        })
        .transpose()
    }

    async fn touch_session(&self, token: TokenHash, now: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE sessions SET used_at = max(used_at, ?) WHERE token = ?";
        sqlx::query(sql).bind(now.0).bind(token.0.as_slice()).execute(&self.writer).await?;
        Ok(())
    }

    async fn close_session(&self, token: TokenHash) -> Result<(), StoreError> {
        let sql = "DELETE FROM sessions WHERE token = ?";
        sqlx::query(sql).bind(token.0.as_slice()).execute(&self.writer).await?;
        Ok(())
    }
}
