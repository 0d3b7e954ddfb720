//! The command line.

use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::app::now;
use crate::audio_files::make_folder;
use crate::config::Config;
use crate::password;
use crate::server::{Running, open_store};
use crate::store::{Accounts, Calls};
use crate::token::{TokenHash, fresh_password, fresh_token};

/// Keeps what sensors record, and lets people find it and listen to it.
#[derive(Parser)]
#[command(name = "nightjar-control", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API and the pages until SIGTERM or SIGINT
    Serve {
        /// The configuration (TOML)
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Manage the people who may sign in
    #[command(subcommand)]
    Admin(Admin),
    /// Make a token for a sensor, and what the configuration has to say about it
    Token {
        /// The sensor's name, as in its own configuration
        #[arg(long, value_name = "NAME")]
        sensor: String,
    },
    /// Print how many calls are stored and how many of them are live, as JSON
    Count {
        /// The configuration (TOML)
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Print the description of the API (OpenAPI 3.1)
    Openapi,
}

#[derive(Subcommand)]
enum Admin {
    /// Create an administrator; prints a generated password unless one is given
    Create(Account),
    /// Give an account a new password and end its sessions
    ResetPassword(Account),
}

#[derive(Args)]
struct Account {
    /// The configuration (TOML)
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The name to sign in with
    #[arg(long, value_name = "NAME")]
    username: String,
    /// Read the password from standard input (one line)
    #[arg(long)]
    password_stdin: bool,
}

/// Runs what the command line asks for: 0 when it was done, 1 when it was not, 2 when the command line is wrong.
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve { config } => serve(&config),
        Command::Admin(Admin::Create(account)) => administer(&account, Change::Create),
        Command::Admin(Admin::ResetPassword(account)) => administer(&account, Change::Reset),
        Command::Token { sensor } => token(&sensor),
        Command::Count { config } => count(&config),
        Command::Openapi => print(&crate::openapi()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("nightjar-control: {message}");
            ExitCode::FAILURE
        }
    }
}

fn print(text: &str) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| format!("standard output: {error}"))
}

fn start_runtime() -> Result<tokio::runtime::Runtime, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| format!("cannot start threads: {error}"))
}

fn load(path: &Path) -> Result<Config, String> {
    Config::load(path).map_err(|error| error.to_string())
}

fn serve(path: &Path) -> Result<(), String> {
    let filter = EnvFilter::try_from_env("NIGHTJAR_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    log.with_ansi(std::io::stderr().is_terminal()).init();
    let config = load(path)?;
    start_runtime()?.block_on(async {
        // Before anything is opened: a signal during the start is a signal to stop, not to die half-way.
        let listen = |kind| signal(kind).map_err(|error| format!("cannot listen for signals: {error}"));
        let (mut terminate, mut interrupt) =
            (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
        let running = Running::start(&config).await.map_err(|error| error.to_string())?;
        let scheme = if config.tls.is_some() { "https" } else { "http" };
        tracing::info!("listening on {scheme}://{}", running.address());
        if config.sensors.is_empty() {
            tracing::warn!(
                "no sensor may deliver: `nightjar-control token --sensor NAME` makes a token for one"
            );
        }
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        running.stop().await;
        Ok(())
    })
}

#[derive(Clone, Copy)]
enum Change {
    Create,
    Reset,
}

fn administer(account: &Account, change: Change) -> Result<(), String> {
    let name = &account.username;
    let fits = |c: char| c.is_ascii_alphanumeric() || "._@-".contains(c);
    if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
        return Err("--username: 1 to 64 letters, digits and . _ @ - are allowed".to_owned());
    }
    let config = load(&account.config)?;
    let given = account.password_stdin.then(read_password).transpose()?;
    let password = given.clone().unwrap_or_else(fresh_password);
    let hash = password::hash(&password);
    make_folder(&config.data_dir)
        .map_err(|error| format!("data_dir {}: {error}", config.data_dir.display()))?;
    start_runtime()?.block_on(async {
        let store = open_store(&config).await.map_err(|error| error.to_string())?;
        let done = match change {
            Change::Create => store.add_account(name, "admin", &hash, now()).await,
            Change::Reset => store.set_password(name, &hash).await,
        };
        store.close().await;
        match (done.map_err(|error| error.to_string())?, change) {
            (true, _) => Ok(()),
            (false, Change::Create) => Err(format!(
                "there is an account {name} already: `admin reset-password` gives it a new password"
            )),
            (false, Change::Reset) => Err(format!("there is no account {name}: `admin create` makes it")),
        }
    })?;
    if given.is_none() {
        print(&format!("{password}\n"))?;
    }
    Ok(())
}

fn read_password() -> Result<String, String> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(password::LONGEST as u64 + 2).read_to_string(&mut text);
    read.map_err(|error| format!("standard input: {error}"))?;
    let password = text.trim_end_matches(['\r', '\n']);
    if (password::SHORTEST..=password::LONGEST).contains(&password.len()) && !password.contains('\n') {
        return Ok(password.to_owned());
    }
    Err(format!("the password must be one line of {} to {} bytes", password::SHORTEST, password::LONGEST))
}

fn count(path: &Path) -> Result<(), String> {
    let config = load(path)?;
    let counts = start_runtime()?.block_on(async {
        let store = open_store(&config).await.map_err(|error| error.to_string())?;
        let counts = store.counts(now()).await.map_err(|error| error.to_string());
        store.close().await;
        counts
    })?;
    print(&format!("{}\n", serde_json::json!({"calls": counts.total, "live": counts.live})))
}

fn token(sensor: &str) -> Result<(), String> {
    let token = fresh_token();
    let name = toml::Value::from(sensor);
    eprintln!("The token, for the sensor alone, then the section for control's configuration:");
    print(&format!(
        "{token}\n\n[[sensors]]\nname = {name}\ntoken_sha256 = \"{}\"\n",
        TokenHash::of(&token).to_hex()
    ))
}
