from pyg_irllrec.utils.optional import import_optional

import_optional('lightning.pytorch', 'pyg_irllrec.training', 'train')
