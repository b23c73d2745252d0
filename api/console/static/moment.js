// How long ago something was, by whichever of two clocks says longer: the steady one may stand still while the
// machine sleeps, and the wall's can be set.
export const moment = () => ({ steady: performance.now(), wall: Date.now() });

export const since = (then) => Math.max(performance.now() - then.steady, Math.abs(Date.now() - then.wall));
