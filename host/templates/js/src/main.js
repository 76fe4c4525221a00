// The entry of the component. The rule itself is in plugin.js, which runs in Node.js as well.

import { exportPlugin } from './audit_plugin/export.js';
import { Plugin } from './plugin.js';

export const { lifecycle, judge, state } = exportPlugin(Plugin);
