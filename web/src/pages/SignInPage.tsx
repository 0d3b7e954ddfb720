// Sign in: a name, a password, and a clear word when they are refused.
import { useEffect, useState } from 'preact/hooks';
import { api, ApiError, type Session } from '../api.ts';
import { Mark } from '../parts/Icon.tsx';

export function SignInPage({ ended, onSignedIn }: { ended: boolean; onSignedIn: (session: Session) => void }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const [waitS, setWaitS] = useState(0);

  useEffect(() => {
    document.title = 'Sign in · Nightjar';
  }, []);
  useEffect(() => {
    if (waitS <= 0) return;
    const timer = window.setTimeout(() => setWaitS(waitS - 1), 1000);
    return () => window.clearTimeout(timer);
  }, [waitS]);

  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    if (busy || waitS > 0) return;
    const form = new FormData(event.currentTarget as HTMLFormElement);
    setBusy(true);
    setError(null);
    try {
      onSignedIn(await api.signIn(String(form.get('username')), String(form.get('password'))));
    } catch (refused) {
      setBusy(false);
      setError(explain(refused as ApiError));
      if ((refused as ApiError).status === 429) setWaitS((refused as ApiError).retryAfter ?? 30);
      document.querySelector<HTMLInputElement>('#password')?.select();
    }
  };

  return (
    <main class="sign-in">
      <form onSubmit={submit}>
        <h1>
          <span class="sign-in-mark">
            <Mark size={36} />
          </span>
          Nightjar
        </h1>
        <p class="sign-in-lead">Sign in to find calls and listen to them.</p>
        <div role="alert">
          {error && (
            <p class="form-error">
              {error}
              {waitS > 0 && ` Try again in ${waitS} s.`}
            </p>
          )}
          {!error && ended && <p class="form-note">Your session has ended. Please sign in again.</p>}
        </div>
        <label for="username">User name</label>
        <input id="username" name="username" autocomplete="username" autocapitalize="none" spellcheck={false} required autofocus />
        <label for="password">Password</label>
        <input id="password" name="password" type="password" autocomplete="current-password" required />
        <button class="button primary" type="submit" disabled={busy || waitS > 0}>
          {busy ? 'Signing in…' : 'Sign in'}
        </button>
      </form>
    </main>
  );
}

function explain(error: ApiError): string {
  if (error.status === 401) return 'This user name and password do not match.';
  if (error.status === 429) return 'Too many attempts.';
  if (error.status === 0) return 'Nightjar cannot be reached. Check the network and try again.';
  return error.message;
}
