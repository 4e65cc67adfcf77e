// Runs one call at a time; of the values that come meanwhile, the newest alone is asked for next.
export class Newest {
  constructor(run) {
    this.run = run;
    this.waiting = [];
    this.busy = false;
  }

  async ask(value) {
    this.waiting = [value];
    if (this.busy) return;
    this.busy = true;
    try {
      while (this.waiting.length) await this.run(this.waiting.pop());
    } finally {
      this.busy = false;
    }
  }
}
