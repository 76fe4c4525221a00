// What a plugin throws. Messages are shown and stored in the clear: they must not hold values of events.

/** A configuration that the plugin refuses: the host does not start, and names the key. */
export class ConfigError extends Error {
  /**
   * @param {string} key as the user wrote it: `fields.user_email.action`
   * @param {string} message what is wrong and what would be right
   */
  constructor(key, message) {
    super(message);
    this.name = 'ConfigError';
    this.key = key;
  }
}

/** A batch that the plugin cannot judge. The state must be as it was before the batch. */
export class Fault extends Error {
  /**
   * @param {'transient' | 'bad-input' | 'other'} kind
   * @param {string} message
   */
  constructor(kind, message) {
    super(message);
    this.name = 'Fault';
    this.kind = kind;
  }
}

/** A state that the plugin cannot take over. */
export class StateError extends Error {
  /** @param {'unsupported-version' | 'corrupt'} kind */
  constructor(kind, message = '') {
    super(message);
    this.name = 'StateError';
    this.kind = kind;
  }
}
